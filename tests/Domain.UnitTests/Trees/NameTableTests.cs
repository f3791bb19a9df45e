using System.Text;
using Starlight.Domain.SharedKernel;
using Starlight.Domain.Trees;

namespace Starlight.Domain.UnitTests.Trees;

public sealed class NameTableTests
{
    [Theory]
    [InlineData(1, 4)]
    [InlineData(2, 12)]
    [InlineData(3, 300)]
    [InlineData(4, 5000)]
    public void Table_AfterRandomChanges_HoldsWhatADictionaryHolds(int seed, int names)
    {
        Random random = new(seed);
        Dictionary<string, int> expected = [];
        NameTable<int> table = new();
        for (int i = 0; i < names * 6; i++)
        {
            string name = $"name{random.Next(names)}" + new string('\u00ff', random.Next(names) % 3 == 0 ? 300 : 0);
            switch (random.Next(4))
            {
                case 0:
                    expected.Remove(name);
                    table.Remove(name.AsSpan());
                    break;
                case 1:
                    table.TryGet(name.AsSpan(), out int value).ShouldBe(expected.TryGetValue(name, out int known));
                    value.ShouldBe(known);
                    break;
                default:
                    ref int slot = ref table.GetOrAdd(name.AsSpan(), out bool existed);
                    existed.ShouldBe(expected.ContainsKey(name));
                    slot.ShouldBe(expected.GetValueOrDefault(name));
                    expected[name] = slot = i + 1;
                    break;
            }

            if (random.Next(names) == 0)
            {
                table.Trim();
            }
        }

        Dictionary<string, int> found = [];
        for (int entry = 0; entry < table.Count; entry++)
        {
            if (table.Has(entry))
            {
                found.Add(Encoding.Latin1.GetString(table.Name(entry)), table.Value(entry));
            }
        }

        found.OrderBy(e => e.Key, StringComparer.Ordinal).ShouldBe(expected.OrderBy(e => e.Key, StringComparer.Ordinal));
    }

    /// <summary>Names for which <see cref="HashCode"/> has a handful of values whatever its seed: what one of its lanes adds for one word is taken away by the next.</summary>
    [Fact]
    public void Hash_OfNamesMadeToCollide_HasManyValues()
    {
        const uint prime1 = 2654435761;
        const uint prime2 = 2246822519;
        uint inverse = 1;
        for (int i = 0; i < 5; i++)
        {
            inverse *= 2 - (prime2 * inverse);
        }

        HashSet<int> ours = [];
        HashSet<int> framework = [];
        for (uint i = 0; i < 4096; i++)
        {
            uint[] words = [0x61616161, 0x62626262, 0x63636363, 0x64646464, 0x65656565, 0x66666666, 0x67676767, 0x68686868];
            words[0] += (i << 19) * inverse;
            words[4] -= i * prime1 * inverse;
            ReadOnlySpan<byte> name = System.Runtime.InteropServices.MemoryMarshal.AsBytes<uint>(words);
            ours.Add(SeededHash.Of(name));
            HashCode hash = default;
            hash.AddBytes(name);
            framework.Add(hash.ToHashCode());
        }

        framework.Count.ShouldBeLessThan(64);
        ours.Count.ShouldBeGreaterThan(4000);
    }

    [Theory]
    [InlineData(0)]
    [InlineData(1)]
    [InlineData(254)]
    [InlineData(255)]
    [InlineData(256)]
    [InlineData(4095)]
    [InlineData(65_535)]
    public void Names_OfAnyLength_AreKept(int length)
    {
        NameList names = new();
        byte[] name = [.. Enumerable.Range(0, length).Select(i => (byte)(i * 7))];
        int before = names.Add("before"u8);
        int start = names.Add(name);
        int after = names.Add("after"u8);
        names.Trim();
        names[start].SequenceEqual(name).ShouldBeTrue();
        names[before].SequenceEqual("before"u8).ShouldBeTrue();
        names[after].SequenceEqual("after"u8).ShouldBeTrue();
    }

    [Fact]
    public void Names_ThatNoPathHas_AreRefused() => Should.Throw<ArgumentException>(() => new NameList().Add(new byte[65_536]));
}
