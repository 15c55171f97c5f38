namespace MigrationCluster.Node.Http;

/// <summary>What was asked for, or why not.</summary>
public readonly struct Answer<T>
    where T : class
{
    private Answer(T? value, HttpRefusal? refusal) => (Value, Refusal) = (value, refusal);

    /// <summary>Null when refused.</summary>
    public T? Value { get; }

    /// <summary>Null when granted.</summary>
    public HttpRefusal? Refusal { get; }

    public static implicit operator Answer<T>(T value) => new(value, null);

    public static implicit operator Answer<T>(HttpRefusal refusal) => new(null, refusal);
}
