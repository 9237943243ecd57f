/* sn_dataset - labelled images in memory (uint8), split for training, hold-out
 * and test, with augmentation as a function of (seed, epoch, image).
 *
 * Opened once, then read-only and shared by all threads. The hold-out is cut
 * from the training images by the seed alone and is never trained on; the test
 * images are for final reports.
 */
#ifndef SN_DATA_H
#define SN_DATA_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/data/resize.h"
#include "engine/err.h"

struct sn_dataset; /* opaque */

enum sn_split { SN_SPLIT_TRAIN, SN_SPLIT_HOLDOUT, SN_SPLIT_TEST };

enum { SN_MAX_CLASSES = 1000, SN_MAX_IMAGE_CHANNELS = 3 };

struct sn_dataset_info {
    int channels, classes;
    int height, width;    /* of every image; 0 when variable */
    bool variable;        /* images are kept encoded and are of many sizes */
    uint32_t train, test; /* images; train includes the hold-out */
    uint32_t corrupt;     /* images left out as they cannot be decoded */
    uint32_t other;       /* files left out as they are no JPEG or PNG */
    /* XXH3-64, hex: of all pixels and labels, or when variable of the names,
     * sizes in bytes and labels of all files */
    char checksum[17];
    float mean[SN_MAX_IMAGE_CHANNELS]; /* of training pixels, in 0..1 */
    float std[SN_MAX_IMAGE_CHANNELS];
};

/* A format that data sets are read in:
 *
 *   idx       the MNIST family's four files, plain or .gz:
 *             {train,t10k}-{images-idx3,labels-idx1}-ubyte[.gz]
 *   cifar10   data_batch_{1..5}.bin, test_batch.bin, here or in
 *             cifar-10-batches-bin/
 *   cifar100  train.bin, test.bin (fine labels), here or in cifar-100-binary/
 *   npy       {train,test}_{images,labels}.npy
 *   folder    JPEG and PNG files, a folder a class:
 *             train/<class>/..., {test,val}/<class>/..., or <class>/... with a
 *             split made by seed
 *   tar       the same inside plain tars, or WebDataset's pairs of key.jpg and
 *             key.cls
 */
struct sn_dataset_format {
    const char *name;
    const char *const *files; /* all that may be read, below the folder; NULL
                                 ends the list. Of images: none, as their
                                 readers look for themselves */
    bool images;              /* made of JPEG and PNG files: takes options */
    bool channels;            /* else: takes the option channels alone */
};

/* The i-th format, NULL past the last; the first is the default. */
const struct sn_dataset_format *sn_dataset_format_at(size_t i);
/* SN_ERR_INVALID at "/format", naming all formats, when there is none such. */
enum sn_err sn_dataset_format_find(const char *name,
                                   const struct sn_dataset_format **ret,
                                   struct sn_error *err);

/* How data sets are read; all but the channels is of JPEG and PNG files. */
struct sn_dataset_options {
    int channels;         /* 1: grey; 3: colour, grey three times; 0, not of
                             JPEGs and PNGs: as they are */
    int size;             /* squares of so many pixels a side, made once and
                             kept in memory; 0: as they are */
    double test_share;    /* of each class, where the set has no test images */
    uint64_t split_seed;  /* which ones */
    double corrupt_share; /* more damaged images than this are an error */
    /* of tars: names of the training and test tars, "" for the default; may
     * have one {000..123} */
    char train[256], test[256];
};

/* Of JPEGs and PNGs 3 channels, of others what they have; images of the size
 * that they have, 0.2 of each class by seed 1, at most 0.01. */
struct sn_dataset_options sn_dataset_options_default(bool images);
/* SN_ERR_RANGE with the pointer at the field. */
enum sn_err sn_dataset_options_check(const struct sn_dataset_options *options,
                                     bool images, struct sn_error *err);

/* What an earlier opening found, so that the next one knows which images are
 * damaged and whether anything has changed. Borrowed. */
struct sn_dataset_known {
    struct sn_dataset_info info;
    const char *const *corrupt; /* [info.corrupt] names, in order of bytes */
};

/* Looked at by another thread while a data set is being opened. */
struct sn_dataset_watch {
    _Atomic uint64_t done, all; /* images */
    atomic_bool stop;           /* set it to end early: SN_ERR_STOPPED */
};

struct sn_dataset_source {
    const char *format, *dir;
    struct sn_dataset_options options;
    const struct sn_dataset_known *known; /* NULL: look at everything */
    struct sn_dataset_watch *watch;       /* NULL: nobody looks */
};

/* Reads the data set. Bounds-checked: a truncated or corrupt file is
 * SN_ERR_CORRUPT naming the file and the fault; a sound one of a kind that is
 * not read is SN_ERR_INVALID; what is not as it was known is SN_ERR_CONFLICT.
 * Damaged JPEGs and PNGs are left out and named, as long as they are few.
 * Decoding uses several threads. ret owned by the caller. */
enum sn_err sn_dataset_open_source(const struct sn_dataset_source *source,
                                   struct sn_dataset **ret,
                                   struct sn_error *err);
/* The same with default options, nothing known and nobody looking. */
enum sn_err sn_dataset_open(const char *format, const char *dir,
                            struct sn_dataset **ret, struct sn_error *err);
void sn_dataset_free(struct sn_dataset *data); /* NULL is fine */

/* The tars that a data set of the format "tar" is made of: `each` gets the name
 * below the folder, the file opened for reading, and whether its name says that
 * it is packed, which the reader of the format does not take. Ends with the
 * first error. */
typedef enum sn_err (*sn_dataset_shard)(void *arg, const char *name, int fd,
                                        bool packed, struct sn_error *err);
enum sn_err sn_dataset_shards(const char *dir,
                              const struct sn_dataset_options *options,
                              sn_dataset_shard each, void *arg,
                              struct sn_error *err);
void sn_dataset_info(const struct sn_dataset *data,
                     struct sn_dataset_info *ret);
/* The name of a class, 0 <= i < classes; NULL where the format has none.
 * Borrowed from the data set. */
const char *sn_dataset_class_name(const struct sn_dataset *data, int i);
/* The name of a damaged image, i < info.corrupt, in order of bytes. */
const char *sn_dataset_corrupt_name(const struct sn_dataset *data, uint32_t i);

/* A view of a data set with its hold-out: `holdout` images drawn by seed. Also
 * limits training to the first `train_limit` images of the shuffled rest (0:
 * all). Owned by the caller; borrows `data`. */
struct sn_view; /* opaque */
enum sn_err sn_view_new(const struct sn_dataset *data, uint64_t seed,
                        uint32_t holdout, uint32_t train_limit,
                        struct sn_view **ret, struct sn_error *err);
void sn_view_free(struct sn_view *view);
uint32_t sn_view_count(const struct sn_view *view, enum sn_split split);
/* Of every image. */
int sn_view_channels(const struct sn_view *view);

/* How images come to a resolution.
 *
 *   PAD      small images of one size: in training a crop after padding; then
 *            resized where the resolution is another
 *   RESIZED  photographs: in training a random part, resized (Inception's);
 *            in evaluation the middle of the image, brought to a shorter side
 *            of resolution / 0.875
 *   AUTO     PAD for square images of at most 64 pixels a side
 */
enum sn_crop { SN_CROP_AUTO, SN_CROP_PAD, SN_CROP_RESIZED };

struct sn_view_pixels {
    enum sn_crop crop;
    enum sn_filter filter;
    uint64_t cache_bytes; /* of decoded images of evaluations, where they are
                             kept encoded; 0: none */
};
/* Before the view is shared; all zero is what a new view has. SN_ERR_INVALID
 * at "/train/crop" when the images do not have one size and shall be padded. */
enum sn_err sn_view_set_pixels(struct sn_view *view,
                               const struct sn_view_pixels *pixels,
                               struct sn_error *err);
/* The crop that was settled on: PAD or RESIZED. */
enum sn_crop sn_view_crop(const struct sn_view *view);
/* The same for images of a data set, without a view. */
enum sn_crop sn_crop_settle(enum sn_crop crop,
                            const struct sn_dataset_info *info);
/* Whether images have to be decoded (see prefetch.h). */
bool sn_view_decodes(const struct sn_view *view);

/* The order of an epoch: a permutation of 0..count(train)-1 by (seed, epoch).
 * ret has room for count(train). */
void sn_view_epoch_order(const struct sn_view *view, uint64_t seed,
                         uint64_t epoch, uint32_t *ret);

struct sn_augment {
    bool on;
    int pad;    /* random crop after zero padding (mean after normalising) */
    bool flip;  /* horizontal, with probability 1/2 */
    int cutout; /* side of a square that becomes 0, in pixels; 0: none */
    float brightness, saturation; /* factors of 1 -/+ this; 3 channels */
    uint64_t seed, epoch;
};

/* Images of a split, by their numbers in it. */
struct sn_batch {
    enum sn_split split;
    const uint32_t *index;
    uint32_t n;
    int resolution;                   /* of what comes out: square */
    const struct sn_augment *augment; /* NULL: as for evaluation */
};

/* What a thread needs to make pixels; kept from batch to batch, so that only
 * the first ones allocate. */
struct sn_view_room;
enum sn_err sn_view_room_new(struct sn_view_room **ret, struct sn_error *err);
void sn_view_room_free(struct sn_view_room *room); /* NULL is fine */

/* Writes n images [n][channels][resolution][resolution], normalised by mean and
 * std, as f32, and their labels. A replayed batch is the same to the bit. An
 * image that cannot be read any more is an error that names it. */
enum sn_err sn_view_batch(const struct sn_view *view,
                          const struct sn_batch *batch,
                          struct sn_view_room *room, float *ret_images,
                          int32_t *ret_labels, struct sn_error *err);

/* The same in two steps: 8-bit pixels [resolution][resolution][channels] of one
 * image, all but the last few things done to them ... */
size_t sn_view_pixel_bytes(const struct sn_view *view, int resolution);
enum sn_err sn_view_make_pixels(const struct sn_view *view,
                                const struct sn_batch *batch, uint32_t i,
                                struct sn_view_room *room, uint8_t *ret,
                                struct sn_error *err);
/* ... and what is left: mirrored, normalised, cut out. `pixels` holds those of
 * image `first` of the batch and of the n - 1 behind it. */
void sn_view_finish(const struct sn_view *view, const struct sn_batch *batch,
                    uint32_t first, uint32_t n, const uint8_t *pixels,
                    float *ret_images, int32_t *ret_labels);

#endif
