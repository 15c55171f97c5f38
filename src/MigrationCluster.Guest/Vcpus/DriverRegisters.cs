namespace MigrationCluster.Guest.Vcpus;

/// <summary>What a device's driver expects of it, as part of the vCPUs' registers: it migrates with the machine.</summary>
internal struct DriverRegisters
{
    /// <summary>Number of the next step; every expected value follows from it.</summary>
    public ulong Step;

    /// <summary>Register operations so far.</summary>
    public ulong Operations;

    /// <summary>Operations whose outcome was not the expected one.</summary>
    public ulong Errors;

    /// <summary>Interrupts taken from the device.</summary>
    public ulong Interrupts;

    /// <summary>The device's own error count when last looked at.</summary>
    public ulong DeviceErrors;
}
