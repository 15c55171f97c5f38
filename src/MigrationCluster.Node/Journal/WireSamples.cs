using System.Reflection;
using System.Text.Json.Serialization;
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

    private static IEnumerable<T> Family<T>() =>
        typeof(T).GetCustomAttributes<JsonDerivedTypeAttribute>().Select(member => (T)Make(member.DerivedType));

    private static object Make(Type type)
    {
        if (Nullable.GetUnderlyingType(type) is { } inner) return Make(inner);
        if (type == typeof(string)) return "sample";
        if (type == typeof(GuestName)) return new GuestName("sample");
        if (type == typeof(HostName)) return new HostName("sample");
        if (type == typeof(DeviceName)) return new DeviceName("sample");
        if (type == typeof(MigrationId)) return new MigrationId("m-sample");
        if (type == typeof(AgentEvent)) return new MachinePaused(new MigrationId("m-sample"), default);
        if (type.IsEnum) return Enum.GetValues(type).GetValue(0)!;
        if (type.IsValueType) return Activator.CreateInstance(type)!;
        if (type.IsGenericType && type.GetGenericTypeDefinition() == typeof(IReadOnlyList<>))
            return MakeList(type.GetGenericArguments()[0]);
        if (type.IsGenericType && type.GetGenericTypeDefinition() == typeof(IReadOnlyDictionary<,>))
            return Activator.CreateInstance(typeof(Dictionary<,>).MakeGenericType(type.GetGenericArguments()))!;
        var constructor = type.GetConstructors().OrderByDescending(c => c.GetParameters().Length).First();
        return constructor.Invoke([.. constructor.GetParameters().Select(parameter => Make(parameter.ParameterType))]);
    }

    private static Array MakeList(Type element)
    {
        var list = Array.CreateInstance(element, 1);
        list.SetValue(Make(element), 0);
        return list;
    }
}
