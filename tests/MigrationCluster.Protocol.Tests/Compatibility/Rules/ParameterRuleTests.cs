using MigrationCluster.Protocol.Compatibility;
using static MigrationCluster.Protocol.Tests.Compatibility.Descriptors;

namespace MigrationCluster.Protocol.Tests.Compatibility.Rules;

public sealed class ParameterRuleTests
{
    [Theory]
    [InlineData(ParameterType.Text, ParameterComparator.Equal, "a", "a", true)]
    [InlineData(ParameterType.Text, ParameterComparator.Equal, "a", "A", false)]
    [InlineData(ParameterType.Number, ParameterComparator.Equal, "10", "010", true)]
    [InlineData(ParameterType.Number, ParameterComparator.Equal, "10", "11", false)]
    [InlineData(ParameterType.Number, ParameterComparator.AtLeast, "10", "11", true)]
    [InlineData(ParameterType.Number, ParameterComparator.AtLeast, "11", "10", false)]
    [InlineData(ParameterType.Number, ParameterComparator.AtLeast, "9", "10", true)]
    [InlineData(ParameterType.Set, ParameterComparator.Equal, "a,b", " b , a ", true)]
    [InlineData(ParameterType.Set, ParameterComparator.Equal, "a", "a,b", false)]
    [InlineData(ParameterType.Set, ParameterComparator.Subset, "a", "b,a", true)]
    [InlineData(ParameterType.Set, ParameterComparator.Subset, "", "a", true)]
    [InlineData(ParameterType.Set, ParameterComparator.Subset, "a,c", "a,b", false)]
    public void The_comparator_decides_between_two_devices(
        ParameterType type, ParameterComparator comparator, string source, string own, bool accepted)
    {
        ParameterDescriptor Of(string value) => new("p", type, comparator, value, Off: "0");
        if (accepted)
            Accepts(Nic(Of(source)), Nic(Of(own)));
        else
            Refuses(Nic(Of(source)), Nic(Of(own)), "device.parameter-mismatch");
    }

    [Theory]
    [InlineData(ParameterType.Number, ParameterComparator.Equal, "ten", "10")]
    [InlineData(ParameterType.Number, ParameterComparator.Equal, "ten", "ten")]
    [InlineData(ParameterType.Number, ParameterComparator.AtLeast, "1", "-1")]
    [InlineData(ParameterType.Number, ParameterComparator.Equal, "18446744073709551616", "18446744073709551616")]
    [InlineData(ParameterType.Text, ParameterComparator.AtLeast, "1", "1")]
    [InlineData(ParameterType.Number, ParameterComparator.Subset, "1", "1")]
    [InlineData((ParameterType)9, (ParameterComparator)9, "1", "1")]
    public void A_value_or_comparator_that_is_none_of_its_type_leaves_a_doubt(
        ParameterType type, ParameterComparator comparator, string source, string own)
    {
        ParameterDescriptor Of(string value) => new("p", type, comparator, value, Off: "0");
        Doubts(Nic(Of(source)), Nic(Of(own)), "device.parameter-malformed");
    }

    [Fact]
    public void Sides_that_declare_a_parameter_differently_leave_a_doubt()
    {
        Doubts(Nic(Number("p", "1")), Nic(new ParameterDescriptor("p", ParameterType.Text, ParameterComparator.Equal, "1", "0")),
            "device.parameter-declaration-mismatch");
        Doubts(Nic(Number("p", "1")), Nic(Number("p", "1", ParameterComparator.AtLeast)), "device.parameter-declaration-mismatch");
    }

    [Theory]
    [InlineData("0", true)]
    [InlineData("64", true)]
    [InlineData("65", false)]
    public void A_template_takes_any_number_of_its_range(string value, bool accepted) =>
        Template(Number("p", value), Number("p", "32", supported: SupportedValues.Range(0, 64)), accepted);

    [Theory]
    [InlineData("32", true)]
    [InlineData("033", false)]
    [InlineData("032", true)]
    public void A_template_takes_listed_numbers(string value, bool accepted) =>
        Template(Number("p", value), Number("p", "0", supported: SupportedValues.Of("0", "32")), accepted);

    [Fact]
    public void A_template_takes_the_sources_value_though_it_would_not_satisfy_the_comparator_by_default() =>
        Template(Number("p", "64", ParameterComparator.AtLeast),
            Number("p", "0", ParameterComparator.AtLeast, SupportedValues.Range(0, 64)), accepted: true);

    [Fact]
    public void A_template_is_created_with_the_sources_value_so_a_greater_one_is_no_help() =>
        Template(Number("p", "20", ParameterComparator.AtLeast),
            Number("p", "0", ParameterComparator.AtLeast, SupportedValues.Of("0", "40")), accepted: false);

    [Theory]
    [InlineData("a,b", true)]
    [InlineData("", true)]
    [InlineData("a,c", false)]
    public void A_template_takes_sets_of_its_possible_members(string value, bool accepted) =>
        Template(new ParameterDescriptor("p", ParameterType.Set, ParameterComparator.Equal, value, ""),
            new ParameterDescriptor("p", ParameterType.Set, ParameterComparator.Equal, "", "", SupportedValues.Of("a", "b")), accepted);

    [Fact]
    public void A_template_without_supported_values_takes_only_its_own()
    {
        Accepts(Nic(Number("p", "1")), Nic(Number("p", "1")).AsTemplate());
        Refuses(Nic(Number("p", "2")), Nic(Number("p", "1")).AsTemplate(), "device.parameter-mismatch");
    }

    [Fact]
    public void A_template_that_cannot_be_without_a_parameter_refuses_a_source_without_it()
    {
        Accepts(Nic(), Nic(Number("p", "32", supported: SupportedValues.Of("0", "32"))).AsTemplate());
        Refuses(Nic(), Nic(Number("p", "32", supported: SupportedValues.Of("32"))).AsTemplate(), "device.parameter-unexpected");
        Refuses(Nic(), Nic(Number("p", "32")).AsTemplate(), "device.parameter-unexpected");
    }

    [Fact]
    public void A_range_for_what_is_no_number_leaves_a_doubt() =>
        Doubts(Nic(new ParameterDescriptor("p", ParameterType.Text, ParameterComparator.Equal, "a", "")),
            Nic(new ParameterDescriptor("p", ParameterType.Text, ParameterComparator.Equal, "a", "", SupportedValues.Range(0, 1))).AsTemplate(),
            "device.parameter-malformed");

    [Fact]
    public void Every_parameter_that_differs_is_a_reason_of_its_own()
    {
        var reasons = Refuses(
            Nic(Number("a", "1"), Number("b", "1"), Number("c", "1"), Number("d", "x")), Nic(Number("d", "1"), Number("c", "2"), Number("e", "5")),
            "device.parameter-unknown", "device.parameter-unknown", "device.parameter-mismatch", "device.parameter-malformed",
            "device.parameter-unexpected");
        Assert.Equal(["a=1", "b=1", "c=1"], reasons.Take(3).Select(reason => reason.Expected));
        Assert.All(reasons, reason => Assert.NotEqual("", reason.Remedy));
    }

    [Fact]
    public void The_order_of_parameters_is_without_meaning()
    {
        var parameters = Enumerable.Range(0, 100).Select(i => Number($"p{i}", $"{i}")).ToList();
        Accepts(Nic(parameters), Nic([.. parameters.AsEnumerable().Reverse()]));
        Accepts(Nic([.. parameters.Take(20)]), Nic([.. parameters.Take(20).Reverse()]));
    }

    private static void Template(ParameterDescriptor source, ParameterDescriptor own, bool accepted)
    {
        if (accepted)
            Accepts(Nic(source), Nic(own).AsTemplate());
        else
            Refuses(Nic(source), Nic(own).AsTemplate(), "device.parameter-unsupported");
    }
}
