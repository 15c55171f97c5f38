namespace MigrationCluster.Protocol.Compatibility.Rules;

/// <summary>Whether one parameter value takes another.</summary>
internal enum ParameterFit
{
    Fits = 0,
    Differs = 1,

    /// <summary>A value is none of its type, or the comparator makes no sense for it.</summary>
    Malformed = 2,
}
