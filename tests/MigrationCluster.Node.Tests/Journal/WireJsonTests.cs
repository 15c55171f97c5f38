using System.Text.Json;
using MigrationCluster.Node.Journal;
using MigrationCluster.Protocol.Coordinator;
using MigrationCluster.Protocol.Identity;
using MigrationCluster.Protocol.Migration;

namespace MigrationCluster.Node.Tests.Journal;

public sealed class WireJsonTests
{
    [Fact]
    public void Every_member_of_every_family_comes_back_as_it_went()
    {
        Assert.True(WireSamples.Commands.Count() >= 11);
        Assert.All(WireSamples.Commands, command => ComesBack(command));
        Assert.All(WireSamples.AgentEvents, e => ComesBack(e));
        Assert.All(WireSamples.CoordinatorEvents, e => ComesBack(e));
    }

    [Fact]
    public void Every_kind_of_a_family_is_on_its_list()
    {
        Assert.Equal(Kinds<AgentCommand>(), WireSamples.Commands.Select(c => c.GetType()).ToHashSet());
        Assert.Equal(Kinds<AgentEvent>(), WireSamples.AgentEvents.Select(e => e.GetType()).ToHashSet());
        Assert.Equal(Kinds<CoordinatorEvent>(), WireSamples.CoordinatorEvents.Select(e => e.GetType()).ToHashSet());
    }

    [Fact]
    public void Identities_are_plain_text_and_numbers()
    {
        string json = WireJson.Write<AgentCommand>(new YieldGuest(new("m-1"), new("g"), new Fence(new(7), new(2))));

        Assert.Equal(
            """{"type":"yield-guest","migration":"m-1","guest":"g","fence":{"epoch":7,"term":2}}""", json);
    }

    [Fact]
    public void A_field_of_a_later_release_is_skipped_and_a_missing_one_is_not()
    {
        const string Later = """{"migration":"m-1","colour":1,"guest":"g","type":"yield-guest","fence":{"epoch":7,"term":2}}""";

        Assert.IsType<YieldGuest>(WireJson.Read<AgentCommand>(Later));
        Assert.Throws<JsonException>(() => WireJson.Read<AgentCommand>("""{"type":"yield-guest","migration":"m-1","guest":"g"}"""));
    }

    [Theory]
    [InlineData("""{"type":"yield-guest","migration":"m-1","guest":"No","fence":{"epoch":7,"term":2}}""")]
    [InlineData("""{"type":"yield-guest","migration":"m-1","guest":"g","fence":{"epoch":-7,"term":2}}""")]
    [InlineData("""{"type":"yield-guest","migration":"m-1","guest":"g","fence":{"epoch":"7","term":2}}""")]
    public void What_is_no_name_or_number_is_refused(string json) =>
        Assert.Throws<JsonException>(() => WireJson.Read<AgentCommand>(json));

    private static void ComesBack<T>(T message)
    {
        string json = WireJson.Write(message);
        var back = WireJson.Read<T>(json);

        Assert.Equal(message!.GetType(), back!.GetType());
        Assert.Equal(json, WireJson.Write(back));
    }

    private static HashSet<Type> Kinds<T>() =>
        [.. typeof(T).Assembly.GetTypes().Where(type => type.IsSubclassOf(typeof(T)) && !type.IsAbstract)];
}
