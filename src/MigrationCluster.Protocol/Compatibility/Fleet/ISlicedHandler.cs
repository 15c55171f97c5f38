namespace MigrationCluster.Protocol.Compatibility.Fleet;

/// <summary>
/// Marks a handler that a fleet need not ask pair by pair, because of two things it keeps to. What it says of two descriptors is
/// the worst of what it says of each <see cref="DescriptorSlice"/> and of the parameters of each name. And whether it passes on
/// depends on the two models, on the two shapes, and on who speaks which scheme, alone.
/// </summary>
internal interface ISlicedHandler : ICompatibilityHandler;
