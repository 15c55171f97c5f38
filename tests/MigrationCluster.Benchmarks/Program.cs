using System.Globalization;
using MigrationCluster.Benchmarks;
using MigrationCluster.Benchmarks.Blackout;
using MigrationCluster.Benchmarks.Compat;
using MigrationCluster.Benchmarks.DataPlane;

// Speed is measured here, as ratios against something in the same run. Absolute figures are printed; those that have a bar of their own
// are gated at a multiple of it.
using var interrupt = new CancellationTokenSource();
Console.CancelKeyPress += (_, pressed) =>
{
    pressed.Cancel = true; // the run cleans up, then ends
    interrupt.Cancel();
};
try
{
    return args switch
    {
        ["dataplane", .. var only] => await DataPlaneBenchmark.RunAsync(Console.Out, new Figures(Console.Out), only, interrupt.Token),
        ["scaling"] => await ScalingBenchmark.RunAsync(Console.Out, new Figures(Console.Out), interrupt.Token),
        ["hops"] => await HopBenchmark.RunAsync(Console.Out, new Figures(Console.Out), interrupt.Token),
        ["idle-guest"] => await IdleGuestBenchmark.RunAsync(new Figures(Console.Out), IdleGuestBenchmark.DefaultMiB, interrupt.Token),
        ["idle-guest", var memory] when int.TryParse(memory, NumberStyles.None, CultureInfo.InvariantCulture, out int memoryMiB) && memoryMiB >= 256 =>
            await IdleGuestBenchmark.RunAsync(new Figures(Console.Out), memoryMiB, interrupt.Token),
        ["blackout"] => await BlackoutBenchmark.RunAsync(new Figures(Console.Out), BlackoutBenchmark.Parts, interrupt.Token),
        ["blackout", .. var parts] when parts.All(BlackoutBenchmark.Parts.Contains) => await BlackoutBenchmark.RunAsync(new Figures(Console.Out), parts, interrupt.Token),
        ["prediction"] => await PredictionBenchmark.RunAsync(new Figures(Console.Out), PredictionBenchmark.DefaultRuns, interrupt.Token),
        ["prediction", var count] when int.TryParse(count, NumberStyles.None, CultureInfo.InvariantCulture, out int runs) && runs >= 1 =>
            await PredictionBenchmark.RunAsync(new Figures(Console.Out), runs, interrupt.Token),
        ["compat"] => await CompatBenchmark.RunAsync(new Figures(Console.Out), interrupt.Token),
        _ => Usage(),
    };
}
catch (OperationCanceledException) when (interrupt.IsCancellationRequested)
{
    Console.Error.WriteLine("interrupted");
    return 130;
}

static int Usage()
{
    Console.Error.WriteLine("""
        usage: MigrationCluster.Benchmarks dataplane [WORD...] | scaling | hops | idle-guest [MIB] | blackout [PART...] | prediction [RUNS] | compat

          dataplane   guest pages and device state over loopback, against C, TLS and a memory copy; with words, only what has
                      one of them in its name, without bars
          scaling     pages over 1 to 8 channels, and of 1 to 16 migrations side by side
          hops        device state's way, hop by hop, beside pages
          idle-guest  a guest of 8 GiB, or of MIB, 60 % of it holes, between two daemons: time, bytes, and the daemons' memory
          blackout    eight paced devices beside one, PRE_COPY beside STOP_COPY, and all that is not bytes, with SQLite and PostgreSQL;
                      parts are group, precopy, sqlite and postgres
          prediction  100 real migrations, or RUNS: the predicted downtime beside the actual one
          compat      compatibility matrix and candidate search over 1,000 hosts, save_setup of 8 devices over loopback

        One line a figure: `name: value unit`. Exit status 1 when a ratio or an allocation misses its bar, 2 on wrong usage.
        """);
    return 2;
}
