using System.Globalization;

namespace MigrationCluster.Protocol.Compatibility;

/// <summary>x.y.z of a migration interface: majors never mix, minors are compatible forward, bugfix ranks equal candidates.</summary>
public readonly record struct InterfaceVersion(int Major, int Minor, int Bugfix)
{
    /// <summary>Whether a device of this version takes the state of a device of <paramref name="source"/>.</summary>
    public bool Takes(InterfaceVersion source) => Major == source.Major && Minor >= source.Minor;

    public static bool TryParse(string? text, out InterfaceVersion version)
    {
        version = default;
        string[] parts = text?.Split('.') ?? [];
        if (parts.Length != 3) return false;
        Span<int> numbers = stackalloc int[3];
        for (int i = 0; i < 3; i++)
            if (!int.TryParse(parts[i], NumberStyles.None, CultureInfo.InvariantCulture, out numbers[i])) return false;
        version = new InterfaceVersion(numbers[0], numbers[1], numbers[2]);
        return true;
    }

    public override string ToString() => string.Create(CultureInfo.InvariantCulture, $"{Major}.{Minor}.{Bugfix}");
}
