using MigrationCluster.Protocol.Compatibility.Handlers;

namespace MigrationCluster.Protocol.Compatibility;

/// <summary>The handlers in order; the generic one is last and never passes on.</summary>
public sealed class HandlerChain(IReadOnlyList<ICompatibilityHandler> handlers)
{
    /// <summary>A vendor's handler is registered by a line here, before the generic one.</summary>
    public static HandlerChain Default { get; } = new(
    [
        new EmulatedModelHandler("net", "gpu", "serial", "legacy"),
        new GpioIdio16Handler(),
        new UndescribedHandler(),
        new MdevHandler(),
        new GenericHandler(),
    ]);

    /// <summary>In the order they are asked.</summary>
    public IReadOnlyList<ICompatibilityHandler> Handlers => handlers;

    public Judgement Judge(Candidate candidate)
    {
        foreach (var handler in handlers)
            if (handler.Judge(candidate) is { } verdict)
                return new Judgement(verdict, handler.Name);
        return new Judgement(
            new Unknown([new CompatibilityReason("device.no-handler", "a handler for this device", "none in the chain",
                CompatibilitySide.Destination, "register a handler, the generic one at least")]), "none");
    }
}

/// <param name="Handler">name of the handler that decided.</param>
public sealed record Judgement(Verdict Verdict, string Handler);
