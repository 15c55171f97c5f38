using MigrationCluster.Chaos.Exploration;

namespace MigrationCluster.Chaos.Tests.Exploration;

public sealed class SequencesTests
{
    private readonly Sequences _sequences = new();

    [Fact]
    public void Equal_sequences_have_one_number_however_they_came_about()
    {
        int one = _sequences.Append(_sequences.Append(0, 4), 2);
        int other = _sequences.RemoveAt(_sequences.Append(_sequences.Append(_sequences.Append(0, 9), 4), 2), 0);
        Assert.Equal(one, other);
        Assert.Equal([4, 2], _sequences[one].ToArray());
        Assert.Equal(0, _sequences.RemoveAt(_sequences.Append(0, 7), 0));
    }

    [Fact]
    public void A_set_knows_neither_order_nor_repetition()
    {
        int one = _sequences.Insert(_sequences.Insert(0, 4), 2);
        Assert.Equal(one, _sequences.Insert(_sequences.Insert(_sequences.Insert(0, 2), 4), 2));
        Assert.Equal([2, 4], _sequences[one].ToArray());
    }
}
