namespace MigrationCluster.Chaos.Cluster;

/// <summary>
/// Network namespaces of a run, one a daemon, joined by veth pairs at a bridge in one of their own, the hub, where the operator sits.
/// Nothing of this machine's own network is touched. Cuts are nftables rules in the namespace of whoever is not to hear.
/// </summary>
internal sealed class Network(string run)
{
    private const string Hub = "hub";

    /// <summary>Why there can be none here; null: there can.</summary>
    public static string? Missing()
    {
        string probe = $"mcx-probe-{Environment.ProcessId}";
        try
        {
            Shell.Run("ip", "netns", "add", probe);
            try
            {
                Shell.Run("ip", "netns", "exec", probe, "nft", "add", "table", "inet", "chaos");
                Shell.Run("ip", "-n", probe, "link", "add", "name", "probe", "type", "bridge");
                return null;
            }
            finally
            {
                Shell.Run("ip", "netns", "delete", probe);
            }
        }
        catch (IOException error)
        {
            return error.Message;
        }
    }

    public static IReadOnlyList<string> All(string run) => Directory.Exists("/run/netns")
        ? [.. Directory.EnumerateFiles("/run/netns", $"{run}-*").Select(file => Path.GetFileName(file))]
        : [];

    public static string[] InHub(string run) => ["ip", "netns", "exec", $"{run}-{Hub}"];

    public string[] On(string daemon) => ["ip", "netns", "exec", Name(daemon)];

    public static string Address(ChaosSettings settings, string daemon) =>
        $"10.213.77.{10 + settings.Daemons.ToList().IndexOf(daemon)}";

    public void Make(ChaosSettings settings)
    {
        Shell.Run("ip", "netns", "add", Name(Hub));
        Shell.Run("ip", "-n", Name(Hub), "link", "add", "name", "bridge", "type", "bridge");
        Shell.Run("ip", "-n", Name(Hub), "address", "add", "10.213.77.1/24", "dev", "bridge");
        foreach (string device in (string[])["lo", "bridge"]) Shell.Run("ip", "-n", Name(Hub), "link", "set", device, "up");
        foreach (string daemon in settings.Daemons)
        {
            Shell.Run("ip", "netns", "add", Name(daemon));
            Shell.Run("ip", "link", "add", "cable", "netns", Name(daemon), "type", "veth", "peer", "name", daemon, "netns", Name(Hub));
            Shell.Run("ip", "-n", Name(daemon), "address", "add", $"{Address(settings, daemon)}/24", "dev", "cable");
            foreach (string device in (string[])["lo", "cable"]) Shell.Run("ip", "-n", Name(daemon), "link", "set", device, "up");
            Shell.Run("ip", "-n", Name(Hub), "link", "set", daemon, "master", "bridge", "up");
        }
    }

    /// <summary>What comes from one address is treated so at one daemon until the table is taken away.</summary>
    /// <param name="verdict">the end of an nftables rule, e.g. drop.</param>
    public void Rule(string at, string table, string from, string verdict)
    {
        string[] nft = [.. On(at), "nft"];
        Shell.Run([.. nft, "add", "table", "inet", table]);
        Shell.Run([.. nft, "add", "chain", "inet", table, "in", "{ type filter hook input priority 0 ; policy accept ; }"]);
        Shell.Run([.. nft, "add", "rule", "inet", table, "in", "ip", "saddr", from, .. verdict.Split(' ')]);
    }

    public void Unrule(string at, string table) => Shell.Run([.. On(at), "nft", "delete", "table", "inet", table]);

    /// <summary>What passes between two daemons goes through this process until it is disposed of.</summary>
    public Detour Detour(ChaosSettings settings, int number, string one, string other, TimeSpan delay, TimeSpan jitter, int seed) => new(
        number, (Name(one), Address(settings, one)), (Name(other), Address(settings, other)), delay, jitter, seed);

    private string Name(string daemon) => $"{run}-{daemon}";
}
