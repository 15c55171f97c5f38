using MigrationCluster.Protocol.Guests;

namespace MigrationCluster.Devices.Emulated;

/// <summary>What a template may say, in a node's configuration as in a launch spec: one of our models, a command, or a device of the kernel.</summary>
public static class DeviceTemplates
{
    /// <summary>Why no device could be made of it; null: one could.</summary>
    /// <param name="kernel">whether it is a device of this host's kernel, which has neither model nor command.</param>
    public static string? Problem(
        string? model, string? version, IReadOnlyDictionary<string, string> parameters, IReadOnlyList<string>? command,
        bool kernel = false)
    {
        if (kernel)
            return model is null && command is null && version is null && parameters.Count == 0
                ? null
                : "a kernel device (vfio) has neither model, version and parameters nor a command";
        if (model is not null && command is not null) return "there is a model and a command; a device has one of them";
        if (command is not null)
        {
            if (version is not null || parameters.Count > 0)
                return "versions and parameters are a model's; put what the command's device needs into its arguments";
            if (command.Count == 0 || string.IsNullOrWhiteSpace(command[0])) return "the command names no program";
            return command.Skip(1).Any(argument => argument.Contains(LaunchDevice.SocketPlaceholder, StringComparison.Ordinal))
                ? null
                : $"no argument of the command holds {LaunchDevice.SocketPlaceholder}, the socket it is to listen on";
        }
        if (model is null) return $"there is neither a model ({string.Join(", ", DeviceModels.Names)}), nor a command, nor a kernel device (vfio)";
        try
        {
            DeviceModels.Check(model, version, parameters);
            return null;
        }
        catch (ModelParameterException e)
        {
            return e.Message;
        }
    }
}
