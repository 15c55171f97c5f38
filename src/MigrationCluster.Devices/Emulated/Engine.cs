using System.Diagnostics;

namespace MigrationCluster.Devices.Emulated;

/// <summary>A thread that does a device's own work in small steps at a steady pace, and sleeps while there is none.</summary>
internal sealed class Engine : IDisposable
{
    private static readonly TimeSpan Pace = TimeSpan.FromMilliseconds(2);

    private readonly Func<TimeSpan, bool> _step;
    private readonly ManualResetEventSlim _wanted = new();
    private readonly Thread _thread;
    private volatile bool _ended;

    /// <param name="step">gets the time since the last step; false: nothing to do until <see cref="Wake"/>.</param>
    public Engine(string name, Func<TimeSpan, bool> step)
    {
        _step = step;
        _thread = new Thread(Run) { Name = name, IsBackground = true };
        _thread.Start();
    }

    public void Wake() => _wanted.Set();

    public void Dispose()
    {
        _ended = true;
        _wanted.Set();
        _thread.Join();
        _wanted.Dispose();
    }

    private void Run()
    {
        while (true)
        {
            _wanted.Wait();
            if (_ended) return;
            // Reset before the step looks: a wake-up that comes meanwhile is seen by the next wait.
            _wanted.Reset();
            long last = Stopwatch.GetTimestamp();
            while (!_ended)
            {
                long now = Stopwatch.GetTimestamp();
                if (!_step(Stopwatch.GetElapsedTime(last, now))) break;
                last = now;
                Thread.Sleep(Pace);
            }
        }
    }
}
