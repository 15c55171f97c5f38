using System.Reflection;
using MigrationCluster.Node.Engine;

namespace MigrationCluster.Node.Tests.Fakes;

/// <summary>A real engine that a test puts out of reach and back: meanwhile every call of it fails as a lost connection does.</summary>
public class UnreachableEngine : DispatchProxy
{
    private IEngine _inner = null!;
    private volatile bool _away;

    public static (IEngine Engine, UnreachableEngine Switch) Around(IEngine inner)
    {
        var engine = Create<IEngine, UnreachableEngine>();
        var proxy = (UnreachableEngine)(object)engine;
        proxy._inner = inner;
        return (engine, proxy);
    }

    public void Away(bool away) => _away = away;

    protected override object? Invoke(MethodInfo? targetMethod, object?[]? args) => _away
        ? throw new IOException("the store is away")
        : targetMethod!.Invoke(_inner, BindingFlags.DoNotWrapExceptions, null, args, null);
}
