using System.Text;
using System.Text.Json.Nodes;
using MigrationCluster.Protocol.Compatibility;
using MigrationCluster.Protocol.Compatibility.Json;
using static MigrationCluster.Protocol.Tests.Compatibility.Descriptors;

namespace MigrationCluster.Protocol.Tests.Compatibility.Json;

public sealed class DescriptorJsonTests
{
    private static readonly DeviceDescriptor Full = Nic(
        Number("queues", "4", supported: SupportedValues.Range(0, ulong.MaxValue)),
        new ParameterDescriptor("modes", ParameterType.Set, ParameterComparator.Subset, "a,b", "", SupportedValues.Of("a", "b"))) with
    {
        Lists = new CompatibilityLists([new Dictionary<string, string> { ["driver"] = "i915" }], [new Dictionary<string, string> { ["driver"] = "i915" }]),
        InterfaceVersion = new InterfaceVersion(1, 2, 3),
        VersionString = "00028086-193b-i915-GVTg_V5_4",
        SectionsWritten = [new SectionDescriptor("registers", true), new SectionDescriptor("x-is-5", true, Rare: true)],
    };

    private static string Text => Encoding.UTF8.GetString(DescriptorJson.Write(Full));

    [Fact]
    public void A_descriptor_comes_back_as_it_was_written()
    {
        Assert.Equivalent(Full, Read(DescriptorJson.Write(Full)), strict: true);
        Assert.Equivalent(Bare, Read(DescriptorJson.Write(Bare)), strict: true);
    }

    [Fact]
    public void Fields_that_a_newer_host_says_are_skipped_wherever_they_stand()
    {
        string newer = Text.Replace("\"kind\":", "\"colour\":{\"deep\":[{\"er\":null}]},\"kind\":", StringComparison.Ordinal)
            .Replace("\"sizeBytes\":", "\"cache\":[1,2],\"sizeBytes\":", StringComparison.Ordinal);
        Assert.Equivalent(Full, Read(Encoding.UTF8.GetBytes(newer)), strict: true);
    }

    [Theory]
    [InlineData("kind", "json.missing", "$")]
    [InlineData("sectionsWritten", "json.missing", "$")]
    [InlineData("regions.0.sizeBytes", "json.missing", "$.regions[0]")]
    [InlineData("parameters.1.off", "json.missing", "$.parameters[1]")]
    public void A_field_that_is_missing_is_named(string field, string code, string path) =>
        Refuses(Edit(field, remove: true), code, path);

    [Theory]
    [InlineData("kind", "null", "json.null", "$.kind")]
    [InlineData("regions", "null", "json.null", "$.regions")]
    [InlineData("regions.0", "null", "json.null", "$.regions[0]")]
    [InlineData("streamFormatsRead.0", "null", "json.null", "$.streamFormatsRead[0]")]
    [InlineData("parameters.0.value", "null", "json.null", "$.parameters[0].value")]
    [InlineData("lists.compatible.0.driver", "null", "json.null", "$.lists.compatible[0].driver")]
    [InlineData("lists.self.0.driver", "1", "json.wrong-type", "$.lists.self[0].driver")]
    [InlineData("model", "[]", "json.wrong-type", "$.model")]
    [InlineData("identity", "\"8086:10d3\"", "json.wrong-type", "$.identity")]
    [InlineData("identity.vendor", "65536", "json.out-of-range", "$.identity.vendor")]
    [InlineData("identity.vendor", "-1", "json.out-of-range", "$.identity.vendor")]
    [InlineData("regions.0.sizeBytes", "0", "json.out-of-range", "$.regions[0].sizeBytes")]
    [InlineData("regions.0.sizeBytes", "18446744073709551616", "json.out-of-range", "$.regions[0].sizeBytes")]
    [InlineData("regions.0.sizeBytes", "1.5", "json.out-of-range", "$.regions[0].sizeBytes")]
    [InlineData("regions.0.sizeBytes", "1e400", "json.out-of-range", "$.regions[0].sizeBytes")]
    [InlineData("regions.0.readable", "1", "json.wrong-type", "$.regions[0].readable")]
    [InlineData("interrupts.1.count", "1000000000", "json.out-of-range", "$.interrupts[1].count")]
    [InlineData("interfaceVersion.minor", "-1", "json.out-of-range", "$.interfaceVersion.minor")]
    [InlineData("kind", "\"Thing\"", "json.unknown-value", "$.kind")]
    [InlineData("kind", "1", "json.wrong-type", "$.kind")]
    [InlineData("kind", "\"1\"", "json.unknown-value", "$.kind")]
    [InlineData("kind", "\"Device, Template\"", "json.unknown-value", "$.kind")]
    [InlineData("parameters.0.type", "\"number\"", "json.unknown-value", "$.parameters[0].type")]
    [InlineData("parameters.0.comparator", "\"Fuzzy\"", "json.unknown-value", "$.parameters[0].comparator")]
    [InlineData("parameters.0.supported", "{\"minimum\":1,\"maximum\":null,\"values\":null}", "json.unknown-value", "$.parameters[0].supported")]
    [InlineData("capabilities", "\"StopCopy, Teleport\"", "json.unknown-value", "$.capabilities")]
    [InlineData("capabilities", "99", "json.wrong-type", "$.capabilities")]
    [InlineData("regions.1.index", "0", "json.duplicate", "$.regions[1]")]
    [InlineData("parameters.1.name", "\"queues\"", "json.duplicate", "$.parameters[1]")]
    [InlineData("model", "\"a\\u0000b\"", "json.bad-text", "$.model")]
    [InlineData("model", "\"\\u001b[31mred\"", "json.bad-text", "$.model")]
    public void What_does_not_belong_there_is_refused_with_its_place(string field, string value, string code, string path) =>
        Refuses(Edit(field, value), code, path);

    [Fact]
    public void Half_a_surrogate_pair_is_refused() =>
        Refuses(Encoding.UTF8.GetBytes(Text.Replace("\"queues\"", "\"\\ud800\"", StringComparison.Ordinal)), "json.bad-text", "$.parameters[0].name");

    [Theory]
    [InlineData("\"kind\":", "\"kind\":\"Device\",\"kind\":", "$.kind")]
    [InlineData("\"kind\":", "\"new\":1,\"new\":2,\"kind\":", "$.new")]
    [InlineData("\"sizeBytes\":", "\"sizeBytes\":1,\"sizeBytes\":", "$.regions[0].sizeBytes")]
    [InlineData("{\"driver\":", "{\"driver\":\"xe\",\"driver\":", "$.lists.self[0].driver")]
    public void Duplicate_keys_are_refused(string found, string replaced, string path) =>
        Refuses(Encoding.UTF8.GetBytes(Text.Replace(found, replaced, StringComparison.Ordinal)), "json.duplicate", path);

    [Theory]
    [InlineData("")]
    [InlineData("{")]
    [InlineData("{} {}")]
    [InlineData("{\"kind\":\"Device\"")]
    [InlineData("{'kind':1}")]
    [InlineData("// comment\n{}")]
    public void What_is_no_JSON_is_refused(string text)
    {
        Assert.False(DescriptorJson.TryRead(Encoding.UTF8.GetBytes(text), out _, out var refusal));
        Assert.Contains(refusal.Code, new[] { "json.malformed", "json.missing" });
    }

    [Theory]
    [InlineData("null", "json.null")]
    [InlineData("[]", "json.wrong-type")]
    [InlineData("7", "json.wrong-type")]
    public void What_is_no_object_is_refused(string text, string code) => Refuses(Encoding.UTF8.GetBytes(text), code, "$");

    [Fact]
    public void Bytes_that_are_not_UTF8_are_refused()
    {
        byte[] bytes = DescriptorJson.Write(Full);
        bytes[Text.IndexOf("queues", StringComparison.Ordinal)] = 0xff;
        Refuses(bytes, "json.not-utf8", "$");
    }

    [Fact]
    public void Ten_megabytes_are_refused_before_they_are_parsed()
    {
        byte[] bytes = new byte[10_000_000];
        Array.Fill(bytes, (byte)'[');
        long before = GC.GetAllocatedBytesForCurrentThread();
        Refuses(bytes, "json.too-long", "$");
        Assert.InRange(GC.GetAllocatedBytesForCurrentThread() - before, 0, 100_000);
    }

    [Fact]
    public void Deep_nesting_is_refused_where_it_is_skipped_and_where_it_is_read()
    {
        string deep = $"{new string('[', 1000)}{new string(']', 1000)}";
        Refuses(Encoding.UTF8.GetBytes(Text.Replace("\"kind\":", $"\"new\":{deep},\"kind\":", StringComparison.Ordinal)), "json.too-deep", "$.new");
        Refuses(Edit("model", deep), "json.wrong-type", "$.model");
    }

    [Fact]
    public void A_hundred_thousand_parameters_are_refused_at_the_limit()
    {
        string many = string.Join(',', Enumerable.Range(0, 100_000).Select(i => $$"""{"name":"p{{i}}"}"""));
        Refuses(Edit("parameters", $"[{many}]"), "json.too-long", "$");
        string some = string.Join(',', Enumerable.Range(0, 2_000).Select(i =>
            $$"""{"name":"p{{i}}","type":"Text","comparator":"Equal","value":"","off":""}"""));
        Refuses(Edit("parameters", $"[{some}]"), "json.too-many", "$.parameters[1024]");
    }

    [Theory]
    [InlineData("streamFormatsRead", "\"n{0}\"", 64)]
    [InlineData("configCapabilities", "{0}", 256)]
    [InlineData("sectionsRead", "\"s{0}\"", 256)]
    [InlineData("interrupts", "{{\"index\":{0},\"count\":1}}", 64)]
    [InlineData("lists.self", "{{}}", 16)]
    [InlineData("lists.compatible", "{{}}", 4096)]
    [InlineData("parameters.1.supported.values", "\"{0}\"", 1024)]
    public void A_list_holds_so_many_and_no_more(string field, string element, int limit)
    {
        string List(int count) => $"[{string.Join(',', Enumerable.Range(0, count).Select(i => string.Format(null, element, i)))}]";
        Assert.True(DescriptorJson.TryRead(Edit(field, List(limit)), out _, out var none), $"{none}");
        Assert.False(DescriptorJson.TryRead(Edit(field, List(limit + 1)), out _, out var refusal));
        Assert.Equal("json.too-many", refusal.Code);
    }

    [Fact]
    public void Texts_and_names_hold_so_many_characters_and_no_more()
    {
        Assert.True(DescriptorJson.TryRead(Edit("versionString", $"\"{new string('é', 4096)}\""), out _, out var none), $"{none}");
        Refuses(Edit("versionString", $"\"{new string('é', 4097)}\""), "json.too-long", "$.versionString");
        Refuses(Edit("versionString", $"\"{new string('x', 900_000)}\""), "json.too-long", "$.versionString");
        Refuses(Edit("parameters.0.name", $"\"{new string('x', 257)}\""), "json.too-long", "$.parameters[0].name");
    }

    [Fact]
    public void Unknown_fields_and_attributes_hold_so_many_and_no_more()
    {
        string unknown = string.Join("", Enumerable.Range(0, 65).Select(i => $"\"new{i}\":0,"));
        Refuses(Encoding.UTF8.GetBytes(Text.Replace("\"kind\":", $"{unknown}\"kind\":", StringComparison.Ordinal)), "json.too-many", "$.new64");
        string attributes = string.Join(',', Enumerable.Range(0, 65).Select(i => $"\"a{i}\":\"\""));
        Refuses(Edit("lists.self.0", $"{{{attributes}}}"), "json.too-many", "$.lists.self[0].a64");
    }

    [Fact]
    public void Any_byte_changed_or_left_out_is_read_or_refused_and_never_thrown()
    {
        byte[] bytes = DescriptorJson.Write(Full);
        for (int at = 0; at < bytes.Length; at++)
            foreach (byte other in "\"\\{}[],:0n\u0001"u8)
            {
                byte kept = bytes[at];
                bytes[at] = other;
                DescriptorJson.TryRead(bytes, out _, out _);
                bytes[at] = kept;
                Assert.False(DescriptorJson.TryRead(bytes.AsSpan(0, at), out _, out _));
            }
    }

    private static DeviceDescriptor Read(byte[] json)
    {
        Assert.True(DescriptorJson.TryRead(json, out var descriptor, out var refusal), $"{refusal}");
        return descriptor;
    }

    private static void Refuses(byte[] json, string code, string path)
    {
        Assert.False(DescriptorJson.TryRead(json, out var descriptor, out var refusal));
        Assert.Null(descriptor);
        Assert.Equal((code, path), (refusal.Code, refusal.Path));
    }

    /// <summary>The full descriptor with one field replaced by raw JSON, or removed.</summary>
    private static byte[] Edit(string field, string value = "", bool remove = false)
    {
        const string Mark = "@@";
        var root = JsonNode.Parse(Text)!;
        string[] steps = field.Split('.');
        var at = root;
        foreach (string step in steps[..^1]) at = int.TryParse(step, out int index) ? at![index] : at![step];
        if (at is JsonArray array) array[int.Parse(steps[^1])] = Mark;
        else if (remove) at!.AsObject().Remove(steps[^1]);
        else at![steps[^1]] = Mark;
        return Encoding.UTF8.GetBytes(root.ToJsonString().Replace($"\"{Mark}\"", value, StringComparison.Ordinal));
    }
}
