using System.Text.RegularExpressions;

namespace MigrationCluster.Protocol.Identity;

/// <summary>A guest's name: 1 to 32 characters of a-z, 0-9 and '-', starting with a letter.</summary>
/// <remarks>Short, because it becomes part of UNIX socket paths, which end at 107 bytes.</remarks>
public readonly record struct GuestName(string Value)
{
    public static GuestName Parse(string text) => new(NameRule.Check(text, "guest name"));
    public override string ToString() => Value;
}

/// <summary>A hypervisor host's name, under the same rule as <see cref="GuestName"/>.</summary>
public readonly record struct HostName(string Value)
{
    public static HostName Parse(string text) => new(NameRule.Check(text, "host name"));
    public override string ToString() => Value;
}

/// <summary>A device's name, unique in its guest. <see cref="Machine"/> is reserved for the vCPUs' endpoint.</summary>
public readonly record struct DeviceName(string Value)
{
    public static readonly DeviceName Machine = new("machine");

    public static DeviceName Parse(string text) => new(NameRule.Check(text, "device name"));
    public override string ToString() => Value;
}

/// <summary>One migration, e.g. <c>m-7f3a9c</c>. Ids come in with commands; Protocol never makes one.</summary>
public readonly record struct MigrationId(string Value)
{
    public override string ToString() => Value;
}

internal static partial class NameRule
{
    internal static string Check(string text, string what) =>
        Pattern().IsMatch(text)
            ? text
            : throw new FormatException(
                $"'{text}' is no {what}: 1 to 32 characters of a-z, 0-9 and '-', starting with a letter");

    [GeneratedRegex("^[a-z][a-z0-9-]{0,31}$")]
    private static partial Regex Pattern();
}
