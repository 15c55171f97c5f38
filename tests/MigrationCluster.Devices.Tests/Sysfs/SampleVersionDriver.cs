using System.Text;
using MigrationCluster.Devices.Tests.Sysfs.Fuse;

namespace MigrationCluster.Devices.Tests.Sysfs;

/// <summary>A vendor driver's version attribute as the thread describes it: shows its own version, takes its own and those it
/// still reads, and answers EINVAL to every other string.</summary>
internal sealed class SampleVersionDriver(string version, params string[] alsoTaken)
{
    private const int EINVAL = 22;

    /// <summary>Every write as it arrived.</summary>
    internal List<byte[]> Written { get; } = [];

    internal FuseAnswer Show() => FuseAnswer.Text(version + "\n");

    internal int Store(byte[] content)
    {
        Written.Add(content);
        string text = Encoding.UTF8.GetString(content);
        if (text.EndsWith('\n')) text = text[..^1];
        return text == version || alsoTaken.Contains(text) ? content.Length : -EINVAL;
    }
}
