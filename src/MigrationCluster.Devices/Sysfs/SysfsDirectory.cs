using System.Globalization;
using System.Text;
using MigrationCluster.Devices.Native;

namespace MigrationCluster.Devices.Sysfs;

/// <summary>
/// One directory of the tree, and the list that takes what is wrong in it. Nothing here throws: a host with one broken
/// attribute is still a host.
/// </summary>
internal sealed class SysfsDirectory(string path, List<SysfsFinding> findings)
{
    /// <summary>An attribute fills a page at most; one byte more shows that a file is something else.</summary>
    internal const int MaxAttributeBytes = 4096;

    private static readonly UTF8Encoding StrictUtf8 = new(false, throwOnInvalidBytes: true);

    internal string Path => path;

    internal bool Exists => Directory.Exists(path);

    internal SysfsDirectory At(string relative) => new($"{path}/{relative}", findings);

    internal void Report(string name, string problem) => findings.Add(new SysfsFinding($"{path}/{name}", problem));

    /// <summary>Names in the directory in ordinal order.</summary>
    internal IReadOnlyList<string> Entries()
    {
        try
        {
            return [.. Directory.EnumerateFileSystemEntries(path)
                .Select(entry => System.IO.Path.GetFileName(entry)).Order(StringComparer.Ordinal)];
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            findings.Add(new SysfsFinding(path, $"cannot be listed: {e.Message}"));
            return [];
        }
    }

    /// <returns>at most <paramref name="limit"/> bytes; null: a finding, or missing and not required.</returns>
    internal byte[]? Bytes(string name, int limit, bool required = true)
    {
        var result = AttributeFile.Read($"{path}/{name}", limit);
        if (!result.Failed) return result.Content;
        if (required || !result.IsMissing) Report(name, $"cannot be read: {result.ErrnoText}");
        return null;
    }

    /// <returns>without the last newline; null as in <see cref="Bytes"/>.</returns>
    internal string? Text(string name, bool required = true)
    {
        if (Bytes(name, MaxAttributeBytes + 1, required) is not { } content) return null;
        if (TryDecode(content, out string text, out string problem)) return text;
        Report(name, problem);
        return null;
    }

    /// <summary>A number as sysfs prints ids: 0x and hexadecimal digits.</summary>
    internal uint? Hexadecimal(string name, uint max)
    {
        if (Text(name) is not { } text) return null;
        if (text.StartsWith("0x", StringComparison.Ordinal)
            && uint.TryParse(text.AsSpan(2), NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out uint value)
            && value <= max) return value;
        Report(name, $"is '{Shortened(text)}', which is no number from 0x0 to 0x{max:x}");
        return null;
    }

    internal int? Decimal(string name, bool required)
    {
        if (Text(name, required) is not { } text) return null;
        if (int.TryParse(text, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out int value)) return value;
        Report(name, $"is '{Shortened(text)}', which is no whole number");
        return null;
    }

    /// <summary>The last name of a link's target: what the link stands for in sysfs.</summary>
    internal string? LinkedName(string name, bool required)
    {
        if (LinkTarget(name, required) is not { } target) return null;
        string last = target[(target.LastIndexOf('/') + 1)..];
        if (last is not ("" or "." or "..")) return last;
        Report(name, $"points to '{Shortened(target)}', which names nothing");
        return null;
    }

    /// <summary>A link's target as it is written.</summary>
    internal string? LinkTarget(string name, bool required)
    {
        var result = AttributeFile.ReadLink($"{path}/{name}");
        if (!result.Failed)
        {
            if (TryDecode(result.Content, out string target, out string problem)) return target;
            Report(name, problem);
        }
        else if (result.Errno == AttributeResult.EINVAL)
            Report(name, "is no symbolic link");
        else if (required || !result.IsMissing)
            Report(name, $"cannot be followed: {result.ErrnoText}");
        return null;
    }

    /// <summary>An attribute's bytes as text without the newline that ends it.</summary>
    internal static bool TryDecode(ReadOnlySpan<byte> content, out string text, out string problem)
    {
        (text, problem) = ("", "");
        if (content.Length > MaxAttributeBytes)
            problem = $"has more than {MaxAttributeBytes} bytes, which is no attribute";
        else if (!System.Text.Unicode.Utf8.IsValid(content))
            problem = "is no UTF-8";
        else
            text = StrictUtf8.GetString(content is [.., (byte)'\n'] ? content[..^1] : content);
        return problem.Length == 0;
    }

    internal static string Shortened(string text) => text.Length <= 40 ? text : text[..40] + "…";
}
