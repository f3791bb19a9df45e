using System.Text;
using Starlight.Application.Preparation;
using Starlight.Domain.Content;
using Starlight.TestKit;

namespace Starlight.Application.UnitTests.Preparation;

public sealed class ChangedOrdersTests
{
    private static readonly TimeSpan Rest = TimeSpan.FromMinutes(2);
    private static readonly Digest First = Image("first");
    private static readonly Digest Second = Image("second");

    private readonly InstantTime _time = new();
    private readonly ChangedOrders _changed;

    public ChangedOrdersTests() => _changed = new ChangedOrders(_time);

    [Fact]
    public async Task ReadAll_WhenAnOrderKeepsChanging_HandsItOutOnceWhenItRests()
    {
        _changed.Note(First);
        _time.Advance(TimeSpan.FromMinutes(1));
        _changed.Note(First);
        _changed.Note(First);

        (await ReadAsync(1)).ShouldBe([First]);

        _time.Waits.ShouldBe([Rest]);
    }

    [Fact]
    public async Task ReadAll_WhenAnOrderNeverRests_HandsItOutFiveRestsAfterItsFirstChange()
    {
        for (int i = 0; i < 10; i++)
        {
            _changed.Note(First);
            _time.Advance(TimeSpan.FromMinutes(1));
        }

        (await ReadAsync(1)).ShouldBe([First]);

        _time.Waits.ShouldBeEmpty("ten minutes are over");
    }

    [Fact]
    public async Task ReadAll_WhenSeveralHaveChanged_BeginsWithTheOneThatRestsLongest()
    {
        _changed.Note(First);
        _time.Advance(TimeSpan.FromMinutes(1));
        _changed.Note(Second);
        _time.Advance(TimeSpan.FromSeconds(30));
        _changed.Note(First);

        (await ReadAsync(2)).ShouldBe([Second, First]);

        _time.Waits.ShouldBe([TimeSpan.FromSeconds(90), TimeSpan.FromSeconds(30)]);
    }

    [Fact]
    public async Task ReadAll_WhenAnOrderChangesAgain_HandsItOutAgain()
    {
        _changed.Note(First);
        (await ReadAsync(1)).ShouldBe([First]);
        _changed.Note(First);

        (await ReadAsync(1)).ShouldBe([First]);
    }

    [Fact]
    public async Task ReadAll_WhenNothingHasChanged_Waits()
    {
        using CancellationTokenSource cancel = new();
        ValueTask<bool> next = _changed.ReadAllAsync(Rest, cancel.Token).GetAsyncEnumerator(cancel.Token).MoveNextAsync();
        next.IsCompleted.ShouldBeFalse();

        await cancel.CancelAsync();

        await Should.ThrowAsync<OperationCanceledException>(next.AsTask());
    }

    private static Digest Image(string name) => Digest.Of(Encoding.UTF8.GetBytes(name));

    private async Task<List<Digest>> ReadAsync(int count)
    {
        List<Digest> images = [];
        await foreach (Digest image in _changed.ReadAllAsync(Rest, CancellationToken.None))
        {
            images.Add(image);
            if (images.Count == count)
            {
                break;
            }
        }

        return images;
    }
}
