/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Hoare's selection: partition around a pivot, go on in the part that holds the middle. Both scans stop at values equal to the pivot,
 * so that a thousand equal averages split evenly instead of one at a time. The pivot is the middle of three: sorted input is common.
 */

#include "policy/median.h"

#include <assert.h>

static double middle_of_three(double a, double b, double c)
{
    if (a > b) {
        double swap = a;
        a = b;
        b = swap;
    }
    if (c <= a) {
        return a;
    }
    return c < b ? c : b;
}

/* Moves what is below the pivot to the left; afterwards *right < *left, and all between them equals the pivot. */
static void partition(double *values, double pivot, ptrdiff_t *left, ptrdiff_t *right)
{
    while (*left <= *right) {
        while (values[*left] < pivot) {
            (*left)++;
        }
        while (values[*right] > pivot) {
            (*right)--;
        }
        if (*left <= *right) {
            double swap = values[*left];
            values[(*left)++] = values[*right];
            values[(*right)--] = swap;
        }
    }
}

double median_select(double *values, size_t count)
{
    assert(count >= 1);
    ptrdiff_t middle = ((ptrdiff_t)count - 1) / 2;
    ptrdiff_t first = 0;
    ptrdiff_t last = (ptrdiff_t)count - 1;

    while (first < last) {
        ptrdiff_t left = first;
        ptrdiff_t right = last;

        partition(values, middle_of_three(values[first], values[first + (last - first) / 2], values[last]), &left, &right);
        if (middle <= right) {
            last = right;
        } else if (middle >= left) {
            first = left;
        } else {
            break; /* between the two parts everything equals the pivot */
        }
    }
    return values[middle];
}
