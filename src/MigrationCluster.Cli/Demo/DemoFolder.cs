using System.Text.RegularExpressions;

namespace MigrationCluster.Cli.Demo;

/// <summary>The one folder a demo writes to. Its name, drawn at random, is also how the demo's processes are found.</summary>
public static partial class DemoFolder
{
    /// <summary>Every demo's configuration; what tells its folder from somebody else's of a like name.</summary>
    public const string Configuration = "node.json";

    /// <summary>Directly under /tmp whatever TMPDIR says: socket paths end at 107 bytes.</summary>
    public static string Create()
    {
        if (OperatingSystem.IsWindows()) throw new PlatformNotSupportedException("the nodes run on Linux");
        while (true)
        {
            string folder = "/tmp/mcd-" + Convert.ToHexStringLower(Guid.NewGuid().ToByteArray().AsSpan(0, 3));
            if (Path.Exists(folder)) continue;
            Directory.CreateDirectory(folder, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
            return folder;
        }
    }

    /// <summary>A demo's folder and no other: what it names is about to be removed.</summary>
    public static bool Is(string folder) => Form().IsMatch(folder) && File.Exists(Path.Combine(folder, Configuration));

    /// <summary>Ends every process of this demo that is left, then removes the folder. Not to be cancelled.</summary>
    /// <returns>what could not be removed; empty normally.</returns>
    public static async Task<IReadOnlyList<string>> RemoveAsync(string folder, TimeProvider time)
    {
        var alive = await ProcessSweep.EndAsync(folder, time);
        List<string> left = [.. alive.Select(id => $"process {id}")];
        try
        {
            Directory.Delete(folder, recursive: true);
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            left.Add($"{folder}: {error.Message}");
        }
        return left;
    }

    [GeneratedRegex("^/tmp/mcd-[0-9a-f]{6}$")]
    private static partial Regex Form();
}
