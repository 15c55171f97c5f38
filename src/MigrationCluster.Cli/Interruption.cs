using System.Runtime.InteropServices;

namespace MigrationCluster.Cli;

/// <summary>Ctrl-C and its kin, turned into a cancellation: whoever runs then stops in order, at its own pace.</summary>
/// <remarks>A second Ctrl-C does not cut that short: a demo cut short would leave processes behind.</remarks>
public sealed class Interruption : IDisposable
{
    private readonly CancellationTokenSource _source = new();
    private readonly List<PosixSignalRegistration> _registrations = [];

    public CancellationToken Token => _source.Token;

    /// <summary>128 + the signal's number, as a shell reports a program that a signal ended.</summary>
    public int ExitCode { get; private set; } = ExitCodes.Interrupted;

    public static Interruption OfThisProcess()
    {
        var interruption = new Interruption();
        interruption.Catch(PosixSignal.SIGINT, 130);
        interruption.Catch(PosixSignal.SIGTERM, 143);
        interruption.Catch(PosixSignal.SIGHUP, 129);
        interruption.Catch(PosixSignal.SIGQUIT, 131);
        return interruption;
    }

    public void Raise(int exitCode = ExitCodes.Interrupted)
    {
        if (_source.IsCancellationRequested) return;
        ExitCode = exitCode;
        _source.Cancel();
    }

    public void Dispose()
    {
        foreach (var registration in _registrations) registration.Dispose();
        _source.Dispose();
    }

    private void Catch(PosixSignal signal, int exitCode) =>
        _registrations.Add(PosixSignalRegistration.Create(signal, context =>
        {
            context.Cancel = true;
            Raise(exitCode);
        }));
}
