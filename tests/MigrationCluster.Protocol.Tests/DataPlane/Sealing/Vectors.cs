namespace MigrationCluster.Protocol.Tests.DataPlane.Sealing;

/// <summary>Computed with another implementation of HKDF and AES-GCM; printed in docs/wire.md.</summary>
internal static class Vectors
{
    public const string SessionId = "3ce1eb5462220c7855c6eea3271bd6a4";
    public const string SourcePreface =
        "4d432d5345414c0a03000100000000003ce1eb5462220c7855c6eea3271bd6a4" +
        "1111111111111111111111111111111111111111111111111111111111111111";
    public const string ForwardKey = "eb61a679042a94e55271ae2fa358acfa0c77d71aa56ab17f2f9ce33db78fed83";
    public const string ForwardIv = "49a9dfb8980c2dba73edd521";
    public const string BackKey = "2cff11948d3e65c8e4bb09c9c902af9b87dc449b7f28d25b188b056b3e86661d";
    public const string NextKey = "93a10a189eedae78daefaba6f94329959453583d4777f6ab3e914b3626479af3";
    public const string FirstRecord = "04000000924c36ba828b4348d94351f34be65fda7815400c";
    public const string SecondRecord = "040000002172682cf957b19473f9a09be4ba4b084cae6fa4";
}
