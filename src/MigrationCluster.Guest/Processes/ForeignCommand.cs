using System.CommandLine;
using System.Runtime.InteropServices;

namespace MigrationCluster.Guest.Processes;

/// <summary>
/// <c>mc-guest foreign PID -- PROGRAM ARGUMENTS</c>: how a guest process starts a device server that somebody else wrote. This process
/// binds its own life to its parent's, and then becomes the program: same process id, session, standard error and inherited lock.
/// </summary>
/// <remarks>Not for users: it is hidden from the help.</remarks>
internal static unsafe class ForeignCommand
{
    public const string Name = "foreign";

    private const int CannotExecute = 127; // as a shell says it
    private const int PR_SET_PDEATHSIG = 1;
    private const int SIGKILL = 9;
    private const int SIGPIPE = 13;

    public static Command Create()
    {
        var parent = new Argument<int>("PID") { Description = "The process to end with." };
        var program = new Argument<string[]>("PROGRAM") { Description = "The program and its arguments.", Arity = ArgumentArity.OneOrMore };
        var command = new Command(Name, "Becomes a device server of another make that ends with its guest process.") { parent, program };
        command.Hidden = true;
        command.SetAction(parsed => Become(parsed.GetRequiredValue(parent), parsed.GetRequiredValue(program)));
        return command;
    }

    private static int Become(int parent, string[] program)
    {
        // SAFETY: no memory involved. The runtime ignores SIGPIPE, and that would be inherited.
        if (prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) != 0 || signal(SIGPIPE, 0) == -1)
            return Fail(program[0], Marshal.GetLastPInvokeErrorMessage());
        // It may have ended before it could be told: then nobody will say so any more.
        if (getppid() != parent) return Fail(program[0], "whoever started it is gone");
        byte** arguments = (byte**)NativeMemory.AllocZeroed((nuint)program.Length + 1, (nuint)sizeof(byte*));
        for (int i = 0; i < program.Length; i++) arguments[i] = (byte*)Marshal.StringToCoTaskMemUTF8(program[i]);
        // SAFETY: a null-terminated array of null-terminated strings. On success this program ends here; else the process ends soon.
        _ = execvp(arguments[0], arguments);
        return Fail(program[0], Marshal.GetLastPInvokeErrorMessage());
    }

    private static int Fail(string program, string reason)
    {
        Console.Error.WriteLine($"mc-guest: cannot start {program}: {reason}");
        return CannotExecute;
    }

    [DllImport("libc", SetLastError = true)]
    private static extern int prctl(int option, nuint second, nuint third, nuint fourth, nuint fifth);

    [DllImport("libc", SetLastError = true)]
    private static extern nint signal(int number, nint handler);

    [DllImport("libc")]
    private static extern int getppid();

    [DllImport("libc", SetLastError = true)]
    private static extern int execvp(byte* file, byte** arguments);
}
