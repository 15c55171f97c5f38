using MigrationCluster.Api;

namespace MigrationCluster.Cli.Tests;

/// <summary>Views as a coordinator would give them.</summary>
internal static class Samples
{
    private static readonly DateTimeOffset Start = new(2030, 1, 2, 3, 4, 5, TimeSpan.Zero);

    public static readonly ProgressView NoProgress = new(0, 0, 0, 0, 0, []);

    public static MigrationView Migration(
        string outcome, long version = 9, IReadOnlyList<PhaseView>? phases = null, ProgressView? progress = null,
        IReadOnlyList<Reason>? reasons = null, ReportView? report = null)
    {
        phases ??= [new PhaseView("Planning", 0), new PhaseView("Preparing", 12)];
        return new MigrationView(
            "m-1", version, "web", "alpha", "beta", phases[^1].Phase, outcome, 7, 300, Start,
            outcome == Outcomes.Running ? null : Start.AddSeconds(6), phases, progress ?? NoProgress, reasons ?? [], report);
    }

    private static readonly IterationView[] Passes =
    [
        new(1, 262144, 1L << 30, 3100, 98 << 20, 273 << 20), new(2, 70000, 273 << 20, 700, 101 << 20, 20 << 20),
    ];

    /// <summary>While this pass is under way: the ones before it are over.</summary>
    public static ProgressView Progress(int iteration, long remainingMiB, long sentMiB) => new(
        iteration, remainingMiB << 20, sentMiB << 20, 400 << 20, 100 << 20,
        [new DeviceProgressView("gpu0", "PreCopy", 200 << 20, 56 << 20), new DeviceProgressView("serial0", "Running", 0, null)],
        Passes[..(iteration - 1)]);

    public static ReportView Report(bool identical = true, params string[] residue) => new(
        6000, 143.2,
        [
            new DowntimeComponentView("quiesce", 4.1), new DowntimeComponentView("stop", 6),
            new DowntimeComponentView("final-pages", 92.6), new DowntimeComponentView("resume", 40.5),
        ],
        Passes,
        new BytesView(1400L << 20, 12 << 20, 281 << 20, 1 << 20), 380 << 20, 168,
        [
            new DeviceReportView("gpu0", "gpu", 270 << 20, "sha256:00112233445566778899", "sha256:00112233445566778899", true),
            new DeviceReportView("net0", "net", 2100, "aa55", identical ? "aa55" : "bb66", identical),
        ],
        residue);

    public static WhyView Why(params string[] missing) => new(
        "m-1", "web", "alpha", "beta", 7, "Completed", "completed",
        [
            new WhyEntryView(Start, "coordinator c1", "planned web from alpha to beta", ["the row was opened for it: undecided at e7"], 1),
            new WhyEntryView(Start.AddSeconds(2), "coordinator c2", "took over under term 2", [], 2),
            new WhyEntryView(Start.AddSeconds(3), "guest process on alpha", "voted Yielded", ["durable in its fence file"]),
        ],
        new WhyVerdictView("beta", "beta owns web", ["the row says: committed at e7 for m-1, owner beta"]), missing);

    public static readonly NodeView Alpha = new(
        "alpha", "http://127.0.0.1:7101", true, true, 4096, 3072,
        new Dictionary<string, string> { ["net-basic"] = "net", ["gpu-256"] = "gpu" }, ["web"]);

    public static readonly GuestView Web = new(
        "web", "alpha", "running", 7, "committed", 1024,
        new GuestSpec("web", 1024, new VcpuSpec(2, "hotset", 100), [new DeviceSpec("net0", "net-basic", ["gpu0"])]),
        null, [new GuestDeviceView("net0", "net-basic", "Running", 0)]);
}
