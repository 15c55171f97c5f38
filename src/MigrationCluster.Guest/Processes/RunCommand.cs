using System.CommandLine;
using System.Runtime.InteropServices;
using MigrationCluster.Devices.Faults;
using MigrationCluster.Devices.Ownership;
using MigrationCluster.Guest.Launch;

namespace MigrationCluster.Guest.Processes;

/// <summary><c>mc-guest run</c>: one guest, until SIGTERM or a shut-down command.</summary>
internal static class RunCommand
{
    public static Command Create()
    {
        var directory = new Option<DirectoryInfo>("--directory")
        {
            Description = "The guest's directory. Holds launch.json; gets the endpoints' sockets, the fence file and, last, the pid file.",
            HelpName = "DIR",
            Required = true,
        };
        var command = new Command("run", "Runs one guest in a session of its own, until SIGTERM or a shut-down command.") { directory };
        command.SetAction((parsed, _) => RunAsync(parsed.GetRequiredValue(directory).FullName));
        return command;
    }

    private static async Task<int> RunAsync(string directory)
    {
        var ended = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        void End(PosixSignalContext context)
        {
            context.Cancel = true;
            ended.TrySetResult();
        }

        using var terminate = PosixSignalRegistration.Create(PosixSignal.SIGTERM, End);
        using var interrupt = PosixSignalRegistration.Create(PosixSignal.SIGINT, End);
        using var hangUp = PosixSignalRegistration.Create(PosixSignal.SIGHUP, context => context.Cancel = true);
        if (!Session.TryLeave()) Log("warning: cannot get a session of its own; a terminal's Ctrl-C ends this guest");
        try
        {
            Failpoints.Arm(Environment.GetEnvironmentVariable(FenceFile.FailpointVariable), FenceFile.FailpointNames);
            await using var guest = await GuestProcess.StartAsync(directory, Log);
            await Task.WhenAny(ended.Task, guest.ShutDownRequested);
            Log("shuts down");
            return ExitCode.Done;
        }
        catch (LaunchException e)
        {
            return Fail(e.Message, ExitCode.Usage);
        }
        catch (FormatException e)
        {
            return Fail($"{FenceFile.FailpointVariable}: {e.Message}", ExitCode.Usage);
        }
        catch (IOException e)
        {
            return Fail(e.Message, ExitCode.Error);
        }
    }

    private static int Fail(string message, int code)
    {
        Console.Error.WriteLine($"mc-guest: {message}");
        return code;
    }

    private static void Log(string line) => Console.Error.WriteLine($"{DateTimeOffset.UtcNow:O} {line}");
}

internal static class ExitCode
{
    public const int Done = 0;
    public const int Error = 1;
    public const int Usage = 2;
}
