namespace MigrationCluster.Node.Engine;

/// <summary>Everything a coordinator keeps, in one store. Every engine passes one contract suite.</summary>
public interface IEngine : IGuestRows, IMigrationJournal, IMigrationOwnership, IMembership, IFeedCursors, IAsyncDisposable;
