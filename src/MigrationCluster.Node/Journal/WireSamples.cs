using System.Text.Json.Nodes;
using System.Text.Json.Serialization.Metadata;
using MigrationCluster.Api;
using MigrationCluster.Protocol.Coordinator;
using MigrationCluster.Protocol.Identity;
using MigrationCluster.Protocol.Migration;

namespace MigrationCluster.Node.Journal;

/// <summary>One made-up message of every kind that <see cref="WireJson"/> carries.</summary>
/// <remarks>Most kinds are first met inside a blackout; writing and reading one of each at start keeps their
/// serializers' making out of it.</remarks>
public static class WireSamples
{
    public static IEnumerable<AgentCommand> Commands => Family<AgentCommand>();

    public static IEnumerable<AgentEvent> AgentEvents => Family<AgentEvent>();

    public static IEnumerable<CoordinatorEvent> CoordinatorEvents =>
        Family<CoordinatorEvent>().Concat(AgentEvents.Select(e => new CoordinatorEvent.Observed(e, e.At)));

    public static void WarmUp()
    {
        foreach (var command in Commands) WireJson.Read<AgentCommand>(WireJson.Write(command));
        foreach (var e in AgentEvents) WireJson.Read<AgentEvent>(WireJson.Write(e));
        foreach (var e in CoordinatorEvents) WireJson.Read<CoordinatorEvent>(WireJson.Write(e));
    }

    private static IEnumerable<T> Family<T>()
    {
        var family = WireJson.Options.Of<T>().PolymorphismOptions!;
        return family.DerivedTypes.Select(member =>
        {
            var sample = Object(member.DerivedType);
            sample.Insert(0, family.TypeDiscriminatorPropertyName, (string)member.TypeDiscriminator!);
            return WireJson.Read<T>(sample.ToJsonString());
        });
    }

    /// <summary>Something that a <paramref name="type"/> can be read from.</summary>
    private static JsonNode? Make(Type type)
    {
        if (Nullable.GetUnderlyingType(type) is { } inner) return Make(inner);
        if (type == typeof(AgentEvent)) return JsonNode.Parse(WireJson.Write<AgentEvent>(new MachinePaused(new MigrationId("m-sample"), default)));
        if (type == typeof(MigrationId)) return "m-sample";
        if (type == typeof(string) || type == typeof(GuestName) || type == typeof(HostName) || type == typeof(DeviceName)) return "sample";
        if (type == typeof(bool)) return false;
        if (type == typeof(DateTimeOffset)) return "0001-01-01T00:00:00+00:00";
        if (type == typeof(TimeSpan)) return "00:00:00";
        if (type.IsEnum) return Enum.GetNames(type)[0];
        var info = WireJson.Options.GetTypeInfo(type);
        return info.Kind switch
        {
            JsonTypeInfoKind.Object => Object(type),
            JsonTypeInfoKind.Enumerable => new JsonArray(Make(info.ElementType!)),
            JsonTypeInfoKind.Dictionary => new JsonObject(),
            _ => 0, // a number, or an identity that is written as one
        };
    }

    private static JsonObject Object(Type type) =>
        new(WireJson.Options.GetTypeInfo(type).Properties.Where(property => property.AssociatedParameter is not null)
            .Select(property => KeyValuePair.Create(property.Name, Make(property.PropertyType))));
}
