namespace MigrationCluster.Chaos.Model;

/// <summary>How an effect turns out, where that is not the guest process's to say.</summary>
internal enum Chance
{
    Works = 0,

    /// <summary>An operating failure before anything happened. A device that was asked to move is in Error, now or afterwards.</summary>
    Fails,

    /// <summary>It happened, and its answer is an operating failure: a connection broke in between.</summary>
    FailsAfterwards,

    /// <summary>Setup records are refused; a pass of pre-copy leaves too much dirty; a device that is to run again refuses, and rests where
    /// it stands.</summary>
    SaysNo,
}
