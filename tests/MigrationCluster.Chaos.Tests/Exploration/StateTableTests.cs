using MigrationCluster.Chaos.Exploration;

namespace MigrationCluster.Chaos.Tests.Exploration;

public sealed class StateTableTests
{
    [Fact]
    public void Every_state_is_held_once_under_the_number_it_came_with()
    {
        // More than a chunk, and the slots grow on the way.
        var table = new StateTable(3);
        for (int i = 0; i < 100_000; i++)
        {
            Assert.True(table.TryAdd([i % 7, i, i / 3], out int index));
            Assert.Equal(i, index);
        }

        for (int i = 0; i < 100_000; i++)
        {
            Assert.False(table.TryAdd([i % 7, i, i / 3], out int index));
            Assert.Equal(i, index);
            Assert.Equal([i % 7, i, i / 3], table[i].ToArray());
        }

        Assert.Equal(100_000, table.Count);
    }
}
