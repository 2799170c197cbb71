/* SPDX-License-Identifier: Apache-2.0 */
#include "binding.h"

extern "C" {
#include "publisher.h"
}

/* new Publisher(path)
 *   .torn            whether the page that it found was half-written
 *   .generation
 *   .read()          the page as it is, a Buffer
 *   .publish(page, generation)
 *                    takes what follows the generation from a Buffer of a page
 *   .close() */
class Publisher : public Napi::ObjectWrap<Publisher> {
public:
	explicit Publisher(const Napi::CallbackInfo &info) : Napi::ObjectWrap<Publisher>(info)
	{
		std::string path = info[0].As<Napi::String>();
		int rc = virtflex_publisher_open(&publisher_, path.c_str());

		if (rc < 0)
			throw_errno(info.Env(), rc, path.c_str());
	}

	~Publisher() override { virtflex_publisher_close(&publisher_); }

	static Napi::Function define(Napi::Env env)
	{
		return DefineClass(env, "Publisher",
				   { InstanceAccessor<&Publisher::torn>("torn"),
				     InstanceAccessor<&Publisher::generation>("generation"),
				     InstanceMethod<&Publisher::read>("read"),
				     InstanceMethod<&Publisher::publish>("publish"),
				     InstanceMethod<&Publisher::close>("close") });
	}

private:
	void check_open(Napi::Env env) const
	{
		if (!publisher_.page)
			throw_errno(env, -EBADF, "publisher");
	}

	Napi::Value torn(const Napi::CallbackInfo &info)
	{
		return Napi::Boolean::New(info.Env(), publisher_.torn);
	}

	Napi::Value generation(const Napi::CallbackInfo &info)
	{
		check_open(info.Env());
		return Napi::BigInt::New(info.Env(), uint64_t{ publisher_.page->generation });
	}

	/* The only writer needs no sequence to read. */
	Napi::Value read(const Napi::CallbackInfo &info)
	{
		check_open(info.Env());
		return Napi::Buffer<char>::Copy(info.Env(),
						reinterpret_cast<const char *>(publisher_.page),
						VIRTFLEX_PAGE_SIZE);
	}

	Napi::Value publish(const Napi::CallbackInfo &info)
	{
		Napi::Env env = info.Env();
		auto page = info[0].As<Napi::Buffer<char>>();
		bool lossless;
		uint64_t generation = info[1].As<Napi::BigInt>().Uint64Value(&lossless);
		int rc;

		check_open(env);
		if (!lossless || page.Length() != VIRTFLEX_PAGE_SIZE)
			throw_errno(env, -EINVAL, "publish");
		rc = virtflex_publisher_publish(&publisher_, page.Data() + VIRTFLEX_CONTENT_OFFSET,
						generation);
		if (rc < 0)
			throw_errno(env, rc, "publish");
		return env.Undefined();
	}

	Napi::Value close(const Napi::CallbackInfo &info)
	{
		virtflex_publisher_close(&publisher_);
		return info.Env().Undefined();
	}

	virtflex_publisher publisher_{ nullptr, -1, -1, false };
};

Napi::Function publisher_class(Napi::Env env)
{
	return Publisher::define(env);
}
