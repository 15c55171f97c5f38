namespace MigrationCluster.Protocol.Convergence;

/// <param name="Prediction">of a downtime that began now.</param>
/// <param name="Stall">null: pre-copy gets the downtime under its limit.</param>
public abstract record SwitchoverVerdict(DowntimePrediction Prediction, Stall? Stall);

/// <summary>With a <see cref="SwitchoverVerdict.Stall"/>: the policy has it switch although the limit is exceeded.</summary>
public sealed record SwitchNow(DowntimePrediction Prediction, Stall? Stall = null) : SwitchoverVerdict(Prediction, Stall);

/// <param name="ThrottlePercent">by how much the vCPUs are slowed from now on; 0: not at all.</param>
public sealed record IterateAgain(DowntimePrediction Prediction, Stall? Stall = null, int ThrottlePercent = 0) : SwitchoverVerdict(Prediction, Stall);

/// <param name="Reason">what is in the way, in words.</param>
public sealed record GiveUp(string Reason, DowntimePrediction Prediction, Stall? Stall = null) : SwitchoverVerdict(Prediction, Stall);
