using MigrationCluster.Protocol.Guests;

namespace MigrationCluster.Devices.Emulated;

/// <summary>What a template may say, in a node's configuration as in a launch spec: one of our models, or a command.</summary>
public static class DeviceTemplates
{
    /// <summary>Why no device could be made of it; null: one could.</summary>
    public static string? Problem(
        string? model, string? version, IReadOnlyDictionary<string, string> parameters, IReadOnlyList<string>? command)
    {
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
        if (model is null) return $"there is neither a model ({string.Join(", ", DeviceModels.Names)}) nor a command";
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
