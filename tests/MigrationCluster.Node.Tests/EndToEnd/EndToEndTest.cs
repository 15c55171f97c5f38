using MigrationCluster.Api;

namespace MigrationCluster.Node.Tests.EndToEnd;

/// <summary>Each test has a fleet of its own with one guest running on alpha.</summary>
[Collection(Name)]
public abstract class EndToEndTest : IAsyncLifetime
{
    public const string Name = "end to end";

    internal Fleet Fleet { get; private set; } = null!;

    internal virtual GuestSpec Guest => Fleet.Spec();

    public async Task InitializeAsync() => Fleet = await Fleet.StartAsync(guest: Guest);

    public async Task DisposeAsync() => await Fleet.DisposeAsync();
}

/// <summary>One after the other, and nothing beside them: they measure nothing, but they start many processes.</summary>
[CollectionDefinition(EndToEndTest.Name, DisableParallelization = true)]
public sealed class EndToEndCollection;
