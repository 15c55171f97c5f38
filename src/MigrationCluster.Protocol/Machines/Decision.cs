namespace MigrationCluster.Protocol.Machines;

/// <summary>What a machine makes of a command: events to persist, or a refusal that changes nothing.</summary>
public abstract record Decision<TEvent>
{
    private protected Decision()
    {
    }
}

/// <param name="Events">in order; empty when the command is old news (a duplicate).</param>
public sealed record Accepted<TEvent>(IReadOnlyList<TEvent> Events) : Decision<TEvent>;

/// <param name="Code">stable.</param>
public sealed record Refused<TEvent>(string Code, string Reason) : Decision<TEvent>;
