using System.Buffers.Binary;
using FsCheck;
using FsCheck.Fluent;
using Starlight.Domain.Content;
using Starlight.Infrastructure.Contents;

namespace Starlight.Infrastructure.IntegrationTests.Contents;

public sealed class ContentTableTests
{
    [Fact]
    public void Operations_InAnyOrder_DoWhatADictionaryDoes() => Prop.ForAll<int, byte, ushort>((seed, crowd, steps) =>
    {
        Random random = new(seed);
        ContentTable table = new();
        Dictionary<Digest, StoredContent> model = [];
        for (int step = 0; step < steps % 2000; step++)
        {
            Digest content = Near(random.Next((crowd * 4) + 1));
            StoredContent value = new((uint)random.Next(), (uint)random.Next(8), (byte)random.Next(3));
            switch (random.Next(10))
            {
                case < 5:
                    table.TryAdd(content, value).ShouldBe(model.TryAdd(content, value));
                    break;
                case < 7:
                    table.TryRemove(content, out StoredContent removed).ShouldBe(model.Remove(content, out StoredContent expected));
                    removed.ShouldBe(expected);
                    break;
                case < 9 when model.ContainsKey(content):
                    table.Update(content, value);
                    model[content] = value;
                    break;
                case 9 when random.Next(20) == 0:
                    RemoveSome(table, model, used: (uint)random.Next(8));
                    break;
            }

            table.TryFind(content, out StoredContent found).ShouldBe(model.TryGetValue(content, out StoredContent known));
            found.ShouldBe(known);
            table.Count.ShouldBe(model.Count);
        }

        ShouldBeSame(table, model);
    }).QuickCheckThrowOnFailure();

    [Fact]
    public void RemoveWhere_WhenTheAnswerThrows_KeepsThatOneAndGoesOnLater()
    {
        ContentTable table = new();
        Dictionary<Digest, StoredContent> model = [];
        for (int i = 0; i < 500; i++)
        {
            model.Add(Near(i), new StoredContent((uint)i, 0, 0));
            table.TryAdd(Near(i), model[Near(i)]);
        }

        int left = 100;
        Should.Throw<IOException>(() => table.RemoveWhere((content, _) => left-- > 0 ? model.Remove(content) : throw new IOException()));

        model.Count.ShouldBe(400);
        ShouldBeSame(table, model);
        table.RemoveWhere((_, _) => true);
        table.Count.ShouldBe(0);
        ShouldBeSame(table, []);
    }

    [Fact]
    public void Find_WhenNothingIsThere_FindsNothing()
    {
        ContentTable table = new();

        table.Contains(Digest.Empty).ShouldBeFalse();
        table.Contains(default).ShouldBeFalse();
        table.TryRemove(Digest.Empty, out _).ShouldBeFalse();
        Should.Throw<ArgumentOutOfRangeException>(() => table.TryAdd(default, default));
        Should.Throw<ArgumentOutOfRangeException>(() => table.Update(Digest.Empty, default));
        table.RemoveWhere((_, _) => throw new InvalidOperationException("there is nothing to ask about"));
    }

    private static void RemoveSome(ContentTable table, Dictionary<Digest, StoredContent> model, uint used)
    {
        HashSet<Digest> asked = [];
        table.RemoveWhere((content, stored) =>
        {
            stored.ShouldBe(model[content]);
            asked.Add(content);
            return stored.Used == used;
        });
        asked.ShouldBe(model.Keys, ignoreOrder: true);
        foreach (Digest content in model.Where(m => m.Value.Used == used).Select(m => m.Key).ToArray())
        {
            model.Remove(content);
        }
    }

    private static void ShouldBeSame(ContentTable table, Dictionary<Digest, StoredContent> model)
    {
        HashSet<(Digest, StoredContent)> all = [];
        table.RemoveWhere((content, stored) =>
        {
            all.Add((content, stored));
            return false;
        });
        all.ShouldBe(model.Select(m => (m.Key, m.Value)), ignoreOrder: true);
        model.ShouldAllBe(m => table.Contains(m.Key));
    }

    /// <summary>Digests in few shards.</summary>
    private static Digest Near(int number)
    {
        byte[] raw = new byte[Digest.Size];
        BinaryPrimitives.WriteUInt32BigEndian(raw, (uint)(number % 7) * 0x2500_0010);
        BinaryPrimitives.WriteInt32BigEndian(raw.AsSpan(28), number + 1);
        return new Digest(raw);
    }
}
