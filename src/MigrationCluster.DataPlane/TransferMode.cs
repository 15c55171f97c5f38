using System.Net;

namespace MigrationCluster.DataPlane;

/// <summary>How a session's bytes travel; both sides must say the same.</summary>
public enum TransferMode
{
    /// <summary>In sealed records: nobody on the way reads or changes anything, and the session's secret never travels.</summary>
    Sealed = 1,

    /// <summary>As they are. The session's secret is shown to whoever listens.</summary>
    Plain,
}

/// <summary>The one rule of which mode a session is in.</summary>
public static class TransferModes
{
    /// <param name="destination">the destination's data port: both sides decide by the same address.</param>
    /// <param name="plainAcceptedBy">the operator who chose plain mode for this migration; null: nobody.</param>
    public static TransferMode Of(IPEndPoint destination, string? plainAcceptedBy) =>
        IPAddress.IsLoopback(destination.Address) || plainAcceptedBy is not null ? TransferMode.Plain : TransferMode.Sealed;
}
