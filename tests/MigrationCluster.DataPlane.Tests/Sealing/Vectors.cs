namespace MigrationCluster.DataPlane.Tests.Sealing;

/// <summary>Computed with another implementation of HKDF and AEGIS-256; printed in docs/wire.md.</summary>
internal static class Vectors
{
    public const string SessionId = "3ce1eb5462220c7855c6eea3271bd6a4";
    public const string SourcePreface =
        "4d432d5345414c0a05000100000000003ce1eb5462220c7855c6eea3271bd6a4" +
        "1111111111111111111111111111111111111111111111111111111111111111";
    public const string ForwardKey = "b4fd21a24ed0d85a8eebc76c8f81d41a79d28f60f11e8bad360b4f9cda4251fc";
    public const string ForwardIv = "07ae85d3b3eca404e1489fa735ce202d272a62be51503be458f141c0135a128a";
    public const string BackKey = "2e32cff7ef8294292340e582f555f1be071ac6d2a8ea58fd8e2626c26fa4bf90";
    public const string NextKey = "fc95a631ced67bee73c5c9477e60f00305bcc6beea6415161e7131b2c2541885";
    public const string FirstRecord = "0400000023293af94b94c0f35589ac63076fd51d2fe96bfaca3f6c2cb38f12415c834de707861fcc";
    public const string SecondRecord = "040000008e15994764fb090a2de17f5423bbc7015338a18b0d9d7fb1ec1227ad838bc5b164a85d81";
}
