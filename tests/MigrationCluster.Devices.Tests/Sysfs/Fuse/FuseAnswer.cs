namespace MigrationCluster.Devices.Tests.Sysfs.Fuse;

/// <summary>What a read answers: an errno, or a file's content.</summary>
internal readonly record struct FuseAnswer(int Errno, byte[] Content)
{
    internal static FuseAnswer Fail(int errno) => new(errno, []);

    internal static FuseAnswer Text(string text) => new(0, System.Text.Encoding.UTF8.GetBytes(text));
}
