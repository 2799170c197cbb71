/* SPDX-License-Identifier: Apache-2.0 */
int library(void);

int main(void)
{
	return library() < 0;
}
