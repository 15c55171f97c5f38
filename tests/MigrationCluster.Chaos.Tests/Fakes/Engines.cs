using System.Reflection;
using MigrationCluster.Chaos.Model;
using MigrationCluster.Chaos.Planting;
using MigrationCluster.Chaos.Simulation;
using MigrationCluster.Node.Engine;
using Xunit.Sdk;

namespace MigrationCluster.Node.Tests.Fakes;

/// <summary>The engine contract of the node's tests, over the simulated engine.</summary>
public sealed class Engines
{
    private readonly VirtualTime _time = new(null, new Trace(false));

    /// <returns>opens one store, the first time an empty one.</returns>
    public Func<IEngine> New(string engine)
    {
        Assert.Equal("simulated", engine);
        var observer = new Observer(_time, Build.Product, new Trace(false));
        observer.Watch(new GuestProcesses(_time, new Surroundings(), observer));
        var store = new SimulatedStore(observer);
        return () => PumpedEngine.Over(store);
    }
}

/// <summary>Runs virtual time on until each call has its answer, whichever thread it came from.</summary>
public class PumpedEngine : DispatchProxy
{
    private SimulatedStore? _store;

    internal static IEngine Over(SimulatedStore store)
    {
        var engine = Create<IEngine, PumpedEngine>();
        ((PumpedEngine)(object)engine)._store = store;
        return engine;
    }

    protected override object? Invoke(MethodInfo? targetMethod, object?[]? args)
    {
        lock (_store!)
        {
            var time = new VirtualTime(null, new Trace(false));
            var engine = new SimulatedEngine(_store, time, "c1", new Weather(new Random(1)), new Surroundings());
            object? answer = targetMethod!.Invoke(engine, args);
            while (time.RunNext(TimeSpan.FromHours(1)))
            {
            }

            return answer;
        }
    }
}

[AttributeUsage(AttributeTargets.Method)]
public sealed class OnSqliteAttribute : DataAttribute
{
    public override IEnumerable<object[]> GetData(MethodInfo testMethod) => [["simulated"]];
}

[AttributeUsage(AttributeTargets.Method)]
public sealed class OnPostgresAttribute : DataAttribute
{
    public override IEnumerable<object[]> GetData(MethodInfo testMethod) => [];
}
