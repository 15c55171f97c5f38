namespace MigrationCluster.DataPlane.Tests.Sealing;

/// <summary>Computed with another implementation of HKDF and AEGIS-256; printed in docs/wire.md.</summary>
internal static class Vectors
{
    public const string SessionId = "3ce1eb5462220c7855c6eea3271bd6a4";
    public const string SourcePreface =
        "4d432d5345414c0a04000100000000003ce1eb5462220c7855c6eea3271bd6a4" +
        "1111111111111111111111111111111111111111111111111111111111111111";
    public const string ForwardKey = "4c2e8a46aff3e9b85780f330f7a1f767c072a0decf293b44430efe18bc18500d";
    public const string ForwardIv = "e404cb33041ab4654dfb92d67b1db1d80ec567a0d5b54de267b4361394950a45";
    public const string BackKey = "cd99b245ace506553112e96bd467cfce6fdd1050c27618117deefbabf11b7e23";
    public const string NextKey = "3c39749c0e265812eb62f6652ee0b318d6099e4f5fbee3ac8309eee66e37790e";
    public const string FirstRecord = "0400000092c989177bbdfc7970423859f8bca6cb7b4be1033c0ea71cb7a81ac60c7d9818938e186d";
    public const string SecondRecord = "04000000e20251a7aece8b0edbe8d6c8fa999169b0a87a129b74918f25e07777a964a715300dcf82";
}
