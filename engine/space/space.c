/* What fits a space, and rounding. */
#include "engine/space/space.h"

#include <math.h>

enum sn_err sn_space_check_images(const struct sn_space *space, int channels,
                                  int height, int width, struct sn_error *err)
{
    if (channels != 1 && channels != 3)
        return sn_error_set(err, SN_ERR_INVALID,
                            "space %s takes images of 1 or 3 channels, not %d",
                            space->name, channels);
    if (height == 0 && width == 0) /* of many sizes: cropped and resized */
        return SN_OK;
    int least = space->resolutions[0];
    if (height < least || width < least)
        return sn_error_set(err, SN_ERR_INVALID,
                            "space %s takes images of %d x %d pixels or more, "
                            "not %d x %d",
                            space->name, least, least, height, width);
    return SN_OK;
}

int sn_make_divisible(double v)
{
    int n = (int)floor((v + 4) / 8) * 8;
    if (n < 8)
        n = 8;
    if (n < 0.9 * v)
        n += 8;
    return n;
}

int sn_middle_channels(int in, int expand)
{
    return sn_make_divisible((double)in * expand);
}
