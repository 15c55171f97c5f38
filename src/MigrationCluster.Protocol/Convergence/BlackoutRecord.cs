namespace MigrationCluster.Protocol.Convergence;

/// <summary>One blackout as it happened, and as it was predicted: what costs are learned from. Times are ms.</summary>
/// <param name="SwitchDelay">from the last reading of the dirty logs before the pause until the pause.</param>
/// <param name="Bitmap">null: not measured.</param>
/// <param name="Load">from the last byte that left until the destination had agreed to the manifest.</param>
/// <param name="Predicted">null: an earlier release's.</param>
/// <param name="BytesPerSecond">of its passes that kept to no limit; 0: none did.</param>
public sealed record BlackoutRecord(
    string Source, string Destination, double SwitchDelay, double? Bitmap, double Pages, long PageBytes, long ColdBytes, double Load,
    double Verify, double Yield, double Commit, double Resume, double Total, IReadOnlyList<DeviceBlackout> Devices, double BytesPerSecond,
    PredictedBlackout? Predicted)
{
    /// <summary>The guest, and how it dirtied its memory.</summary>
    public string Guest { get; init; } = "";

    public IReadOnlyList<PassObservation> Passes { get; init; } = [];

    /// <summary>From the order to migrate until pre-copy began; null: not known.</summary>
    public double? Preparation { get; init; }
}

/// <summary>A blackout beforehand.</summary>
/// <param name="MedianMs">as the steps added up, uncorrected.</param>
/// <param name="P95Ms">as it was said.</param>
public readonly record struct PredictedBlackout(double MedianMs, double SigmaMs, double P95Ms)
{
    public static PredictedBlackout Of(DowntimePrediction prediction) => new(prediction.MedianMs, prediction.SigmaMs, prediction.P95.TotalMilliseconds);
}

/// <summary>One device in a blackout.</summary>
/// <param name="InitialBytes">that it had sent in its first pass.</param>
/// <param name="KnownBytes">of its final state, what had counted as dirty before.</param>
/// <param name="FinalMs">until all of it had left.</param>
/// <param name="LoadMs">from then on until the destination's device had accepted it.</param>
/// <param name="PassBytesPerSecond"><see cref="DowntimePredictor.PassRate"/> of its passes.</param>
public sealed record DeviceBlackout(
    string Model, double? QuiesceMs, double? StopMs, long InitialBytes, long KnownBytes, long FinalBytes, double FinalMs, double LoadMs, double PassBytesPerSecond = 0);
