using System.Runtime.InteropServices;
using Starlight.Domain.Content;

namespace Starlight.Domain.Bundles;

/// <summary>Numbers the contents of some images, those that several have once. Of one image a content's number is its position, which takes no memory at all.</summary>
internal sealed class DistinctContents
{
    private readonly IReadOnlyList<OrderedImage> _images;

    /// <summary>Null if nobody looks for a digest.</summary>
    private readonly Dictionary<Digest, int>? _ids;

    /// <summary>For each image and position the number; null for one image. So is the next one.</summary>
    private readonly int[][]? _numbers;

    /// <summary>Where each is first.</summary>
    private readonly List<(int Image, int Index)>? _places;

    /// <param name="images">With distinct contents each.</param>
    /// <param name="isSearched">Whether <see cref="TryFind"/> will be called.</param>
    /// <exception cref="ArgumentException">A size is not positive, or one digest has two sizes or two places in an image, as far as that shows.</exception>
    public DistinctContents(IReadOnlyList<OrderedImage> images, bool isSearched)
    {
        _images = images;
        if (images.Count == 1)
        {
            _ids = isSearched ? new Dictionary<Digest, int>(images[0].Contents.Count) : null;
            Count = images[0].Contents.Count;
            NumberOne(images[0]);
            return;
        }

        _ids = new Dictionary<Digest, int>(images.Sum(i => i.Contents.Count));
        _places = [];
        _numbers = new int[images.Count][];
        for (int image = 0; image < images.Count; image++)
        {
            _numbers[image] = Number(image);
        }

        Count = _places.Count;
    }

    public int Count { get; }

    public int IdOf(int image, int index) => _numbers is null ? index : _numbers[image][index];

    public (int Image, int Index) PlaceOf(int id) => _places is null ? (0, id) : _places[id];

    public long SizeOf(int id)
    {
        (int image, int index) = PlaceOf(id);
        return _images[image].Contents[index].Size;
    }

    public bool TryFind(Digest content, out int id) => _ids!.TryGetValue(content, out id);

    private void NumberOne(OrderedImage image)
    {
        for (int index = 0; index < image.Contents.Count; index++)
        {
            ContentRef content = image.Contents[index];
            Check(content);
            if (_ids?.TryAdd(content.Digest, index) == false)
            {
                throw new ArgumentException($"content {content.Digest} is in one image twice", nameof(image));
            }
        }
    }

    private int[] Number(int image)
    {
        IReadOnlyList<ContentRef> contents = _images[image].Contents;
        int[] numbers = new int[contents.Count];
        for (int index = 0; index < numbers.Length; index++)
        {
            ContentRef content = contents[index];
            Check(content);
            ref int id = ref CollectionsMarshal.GetValueRefOrAddDefault(_ids!, content.Digest, out bool known);
            if (!known)
            {
                id = _places!.Count;
                _places.Add((image, index));
            }
            else if (SizeOf(id) != content.Size)
            {
                throw new ArgumentException($"content {content.Digest} has two sizes, {SizeOf(id)} and {content.Size}", nameof(image));
            }

            numbers[index] = id;
        }

        return numbers;
    }

    private static void Check(ContentRef content)
    {
        if (content.Size <= 0)
        {
            throw new ArgumentException($"content {content.Digest} has the size {content.Size}", nameof(content));
        }
    }
}
