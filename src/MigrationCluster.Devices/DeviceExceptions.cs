namespace MigrationCluster.Devices;

/// <summary>The device answered, and said no.</summary>
/// <param name="errno">the Linux errno it answered with.</param>
public class DeviceRefusedException(string message, int errno) : IOException(message)
{
    public int Errno { get; } = errno;
}

/// <summary>The device did not answer in time, or its connection is gone. Says nothing about its state.</summary>
public sealed class DeviceLostException(string message, Exception? inner = null) : IOException(message, inner);
