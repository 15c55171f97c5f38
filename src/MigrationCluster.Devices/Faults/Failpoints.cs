using System.Collections.Frozen;
using System.Globalization;
using System.Runtime.InteropServices;

namespace MigrationCluster.Devices.Faults;

/// <summary>
/// Named places at which this process can be made to die, to stand still, to fail or to be slow, so that recovery is shown with real
/// processes at exactly that step. A name is <c>scope:when:what</c>, e.g. <c>source:after:GuestYielded</c>. Armed by text:
///
/// <code>
///   NAME[@N]=ACTION[;NAME...]     @N: only the Nth time it is reached (1)
///   ACTION: kill                  SIGKILL to itself
///           stop                  SIGSTOP to itself; whoever armed it sends SIGCONT or SIGKILL
///           fail                  an IOException from here
///           delay:MILLISECONDS
/// </code>
/// One that fires says so on standard error before it acts, and never fires again. Unarmed, a place costs one null check.
/// </summary>
public static class Failpoints
{
    private static FrozenDictionary<string, Point>? s_armed;

    /// <param name="text">as above; null or empty: nothing is armed.</param>
    /// <exception cref="FormatException">names the part that cannot be read, or the name that is not among
    /// <paramref name="known"/>.</exception>
    public static void Arm(string? text, IReadOnlyCollection<string> known)
    {
        var points = (text ?? "").Split(';', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries)
            .Select(part => Read(part, known)).ToFrozenDictionary(point => point.Name, point => point);
        s_armed = points.Count > 0 ? points : null;
    }

    /// <summary>The process is at this place now.</summary>
    /// <exception cref="IOException">it is armed to fail.</exception>
    public static void Reach(string scope, string when, string what)
    {
        if (s_armed is { } armed && armed.TryGetValue($"{scope}:{when}:{what}", out var point) && point.IsDue()) Act(point);
    }

    /// <summary>Whether any place is armed: who has to work for a name asks this first.</summary>
    public static bool Armed => s_armed is not null;

    /// <summary>The names of the places around something that is made durable.</summary>
    public static IEnumerable<string> Around(string scope, string what) => [$"{scope}:before:{what}", $"{scope}:after:{what}"];

    private static void Act(Point point)
    {
        Console.Error.WriteLine($"failpoint {point.Name}: {point.Action}");
        switch (point.Action)
        {
            // SAFETY: raise(3) takes an integer. It signals the calling thread, which therefore goes no further than here.
            case "kill": _ = raise(SIGKILL); break;
            case "stop": _ = raise(SIGSTOP); break;
            case "fail": throw new IOException($"failpoint {point.Name}");
            default: Thread.Sleep(point.Delay); break;
        }
    }

    private static Point Read(string part, IReadOnlyCollection<string> known)
    {
        if (part.Split('=') is not [var place, var action])
            throw new FormatException($"'{part}' is no failpoint: expected NAME=ACTION");
        string[] counted = place.Split('@');
        int due = 1;
        if (counted.Length > 2 || (counted.Length == 2 && !(int.TryParse(counted[1], NumberStyles.None, null, out due) && due > 0)))
            throw new FormatException($"'{part}' is no failpoint: after @ comes a number from 1 on");
        if (!known.Contains(counted[0])) throw new FormatException($"there is no failpoint '{counted[0]}'");
        int delay = 0;
        if (action is not ("kill" or "stop" or "fail")
            && !(action.Split(':') is ["delay", var ms] && int.TryParse(ms, NumberStyles.None, null, out delay)))
            throw new FormatException($"'{action}' is no action of a failpoint: expected kill, stop, fail or delay:MILLISECONDS");
        return new Point(counted[0], due, action, delay);
    }

    private const int SIGKILL = 9;
    private const int SIGSTOP = 19;

    [DllImport("libc")]
    private static extern int raise(int signal);

    private sealed class Point(string name, int due, string action, int delay)
    {
        private int _reached;

        public string Name => name;

        public string Action => action;

        public int Delay => delay;

        public bool IsDue() => Interlocked.Increment(ref _reached) == due;
    }
}
