using System.Net;

namespace MigrationCluster.DataPlane;

/// <summary>A connection to the data port that became no channel of a session, for the log.</summary>
public sealed record DroppedConnection(EndPoint? Remote, DropReason Reason, string Message);

/// <summary>Why the data port dropped a connection.</summary>
public enum DropReason
{
    /// <summary>What arrived is no hello: another protocol, or garbage.</summary>
    NotOurProtocol = 1,

    /// <summary>It ended before it had said hello.</summary>
    Ended,

    /// <summary>It did not say hello in time.</summary>
    TimedOut,

    /// <summary>Its token belongs to no open session.</summary>
    UnknownSession,
    WrongVersion,
    WrongChannel,
    WrongShape,

    /// <summary>Its session is sealed and it is not, or the other way round.</summary>
    WrongMode,

    /// <summary>Its first record does not open: it does not know the secret of the session that it names.</summary>
    SealBroken,

    /// <summary>Too many connections have not said hello yet.</summary>
    TooManyOpening,
}
