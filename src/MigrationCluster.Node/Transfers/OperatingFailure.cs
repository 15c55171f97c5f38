using MigrationCluster.DataPlane;
using MigrationCluster.Devices;
using MigrationCluster.Node.Actors;

namespace MigrationCluster.Node.Transfers;

/// <summary>An exception of an adapter, as the machines hear of it.</summary>
/// <param name="Code">stable, e.g. transfer.connection-lost.</param>
public readonly record struct OperatingFailure(string Code, string Reason)
{
    public static OperatingFailure Of(Exception error, string side) => error switch
    {
        ActorFailedException { InnerException: { } inner } => Of(inner, side),
        AggregateException { InnerException: { } inner } => Of(inner, side),
        TransferFailedException transfer => new(transfer.Code, transfer.Message),
        DeviceRefusedException refused => new($"{side}.device-refused", refused.Message),
        DeviceLostException lost => new($"{side}.device-lost", lost.Message),
        LaunchRefusedException refused => new(refused.Error.Code, refused.Message),
        TimeoutException late => new($"{side}.device-late", late.Message),
        IOException io => new($"{side}.io", io.Message),
        _ => new($"{side}.defect", $"{error.GetType().Name}: {error.Message}"),
    };
}
