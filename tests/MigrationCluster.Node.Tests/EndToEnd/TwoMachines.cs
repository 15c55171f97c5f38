using System.Diagnostics;

namespace MigrationCluster.Node.Tests.EndToEnd;

/// <summary>Two machines with a cable between them, as far as the network goes: namespaces with a loopback each, joined by veth.
/// Gone after the test, and nothing of this machine's own network is touched.</summary>
internal sealed class TwoMachines : IDisposable
{
    public const string First = "10.213.0.1";
    public const string Second = "10.213.0.2";

    private static readonly Lazy<string?> LazyUnavailable = new(Probe);
    private readonly string _name = $"mct-{Convert.ToHexStringLower(Guid.NewGuid().ToByteArray().AsSpan(0, 4))}";

    public TwoMachines()
    {
        try
        {
            foreach (string machine in new[] { First, Second }) Ip("netns", "add", Name(machine));
            Ip("link", "add", "cable", "netns", Name(First), "type", "veth", "peer", "name", "cable", "netns", Name(Second));
            foreach (string machine in new[] { First, Second })
            {
                Ip("-n", Name(machine), "address", "add", $"{machine}/24", "dev", "cable");
                Ip("-n", Name(machine), "link", "set", "lo", "up");
                Ip("-n", Name(machine), "link", "set", "cable", "up");
            }
        }
        catch
        {
            Dispose();
            throw;
        }
    }

    /// <summary>Why there can be none here; null: there can.</summary>
    public static string? Unavailable => LazyUnavailable.Value;

    /// <summary>A command that runs the one that follows it on a machine, and becomes it.</summary>
    public string[] On(string machine) => ["ip", "netns", "exec", Name(machine)];

    /// <summary>Listens to everything that a machine's network carries from now on.</summary>
    public Wiretap Tap(string machine) => new($"/run/netns/{Name(machine)}");

    /// <summary>Runs a command on a machine to its end.</summary>
    public async Task<(int Status, string Output, string Error)> RunAsync(string machine, params string[] command)
    {
        using var process = Start([.. On(machine), .. command]);
        var (output, error) = (process.StandardOutput.ReadToEndAsync(), process.StandardError.ReadToEndAsync());
        await process.WaitForExitAsync().WaitAsync(Eventually.Limit);
        return (process.ExitCode, await output, await error);
    }

    public void Dispose()
    {
        foreach (string machine in new[] { First, Second })
            if (File.Exists($"/run/netns/{Name(machine)}")) Ip("netns", "delete", Name(machine));
    }

    private string Name(string machine) => $"{_name}-{machine[^1]}";

    private static void Ip(params string[] arguments)
    {
        using var ip = Start(["ip", .. arguments]);
        string error = ip.StandardError.ReadToEnd();
        ip.WaitForExit();
        if (ip.ExitCode != 0) throw new IOException($"ip {string.Join(' ', arguments)}: {error.Trim()}");
    }

    private static Process Start(string[] command) => Process.Start(
        new ProcessStartInfo(command[0], command[1..]) { RedirectStandardOutput = true, RedirectStandardError = true })!;

    private static string? Probe()
    {
        try
        {
            using var machines = new TwoMachines();
            return null;
        }
        catch (Exception error) when (error is IOException or System.ComponentModel.Win32Exception)
        {
            return $"needs ip (iproute2) and the right to make network namespaces: {error.Message}";
        }
    }
}

/// <summary>A test between two machines: skipped, with the reason, where none can be made.</summary>
[AttributeUsage(AttributeTargets.Method)]
internal sealed class TwoMachinesFactAttribute : FactAttribute
{
    public TwoMachinesFactAttribute() => Skip = TwoMachines.Unavailable;
}
